import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frameMultipart, selectRanges } from '../../../src/http/representation/ranges.ts';

const size = 1000;

/** Field value, and what it selects of 1,000 bytes: offset and length of each part, or the word. */
const table: readonly [section: string, value: string | undefined, expected: string][] = [
  ['14.2: without Range, the whole', undefined, 'whole'],
  ['14.1.2: the first and the last byte are both included', 'bytes=0-499', '0+500'],
  ['14.1.2: an open end goes to the last byte', 'bytes=500-', '500+500'],
  ['14.1.2: a suffix is the last bytes', 'bytes=-500', '500+500'],
  ['14.1.2: an end behind the last byte is the last byte', 'bytes=900-2000', '900+100'],
  ['14.1.2: a suffix longer than the whole is the whole', 'bytes=-2000', '0+1000'],
  ['14.1.2: one byte', 'bytes=999-999', '999+1'],
  ['14.1.2: several, in the order asked for', 'bytes=500-599,0-9,-1', '500+100 0+10 999+1'],
  ['14.1.1: the unit has no case', 'Bytes=0-0', '0+1'],
  ['5.6.1.2: empty elements of a list are passed over', 'bytes=,0-0, ,5-6', '0+1 5+2'],
  ['14.2: another unit is ignored', 'items=0-5', 'whole'],
  ['14.2: a last before the first is invalid, and ignored', 'bytes=5-4', 'whole'],
  ['14.2: one invalid element makes all invalid', 'bytes=0-1,x', 'whole'],
  ['14.2: no element at all', 'bytes=', 'whole'],
  ['14.2: a sign is no digit', 'bytes=+1-2', 'whole'],
  ['14.2: more parts than a reader needs are ignored', `bytes=${'0-0,'.repeat(65)}`, 'whole'],
  ['14.1.2: a first behind the end selects nothing', 'bytes=1000-', 'none'],
  ['14.1.2: a suffix of no bytes selects nothing', 'bytes=-0', 'none'],
  ['14.1.2: what exists counts, what does not is left out', 'bytes=0-0,5000-', '0+1'],
  ['14.1.2: numbers beyond all sizes', 'bytes=0-99999999999999999999999', '0+1000'],
  ['14.1.2: a first beyond all sizes', 'bytes=99999999999999999999999-', 'none'],
  ['15.3.7.2: ranges that overlap become one', 'bytes=0-99,50-149', '0+150'],
  ['15.3.7.2: ranges that touch become one', 'bytes=0-99,100-149,600-', '0+150 600+400'],
  ['15.3.7.2: one range may join two others', 'bytes=0-9,20-29,10-19', '0+30'],
  ['17.15: the whole, many times over, is sent once', `bytes=${Array(64).fill('0-').join(',')}`, '0+1000'],
];

for (const [rule, value, expected] of table) {
  test(`RFC 9110, ${rule}`, () => {
    const selected = selectRanges(value, size);
    const text =
      selected.kind === 'ranges'
        ? selected.ranges.map(({ offset, length }) => `${offset}+${length}`).join(' ')
        : selected.kind;
    assert.equal(text, expected);
  });
}

test('an empty representation has no ranges', () => {
  for (const value of ['bytes=0-', 'bytes=-5', 'bytes=0-0']) assert.equal(selectRanges(value, 0).kind, 'none');
});

test('what is selected is exactly the bytes asked for, none of them twice', () => {
  const spec = fc.tuple(fc.nat(60), fc.nat(60)).map(([first, more]) => [first, first + more] as const);
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 20 }), (specs) => {
      const value = `bytes=${specs.map(([first, last]) => `${first}-${last}`).join(', ')}`;
      const selected = selectRanges(value, 50);
      const counts = new Array(50).fill(0);
      for (const { offset, length } of selected.kind === 'ranges' ? selected.ranges : []) {
        assert.ok(offset >= 0 && length > 0 && offset + length <= 50);
        for (let at = offset; at < offset + length; at += 1) counts[at] += 1;
      }
      const asked = counts.map((_, at) => (specs.some(([first, last]) => first <= at && at <= last) ? 1 : 0));
      assert.deepEqual(counts, asked);
    }),
  );
});

test('RFC 9110, 14.6: the frame of several parts is as long as it says', () => {
  const ranges = [
    { offset: 0, length: 2 },
    { offset: 5, length: 1 },
  ];
  const frame = frameMultipart(ranges, 10, 'text/plain', 'xyz');
  const content = Buffer.from('0123456789');
  const parts = ranges.map(({ offset, length }) => content.subarray(offset, offset + length));
  const whole = Buffer.concat([
    ...parts.flatMap((part, index) => [frame.heads[index] ?? Buffer.alloc(0), part]),
    frame.end,
  ]);
  assert.equal(whole.length, frame.length);
  assert.equal(frame.contentType, 'multipart/byteranges; boundary=xyz');
  assert.equal(
    whole.toString(),
    '\r\n--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01' +
      '\r\n--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n5\r\n--xyz--\r\n',
  );
});
