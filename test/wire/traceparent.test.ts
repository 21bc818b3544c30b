import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTraceparent, parseTraceparent } from '../../src/wire/traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';

test('a traceparent has its ids, and whether it is recorded', () => {
  for (const [flags, isSampled] of [
    ['00', false],
    ['01', true],
    ['02', false],
    ['ff', true],
  ] as const) {
    const parsed = parseTraceparent(`00-${traceId}-${parentId}-${flags}`);
    assert.deepEqual(parsed, { traceId, parentId, isSampled });
    assert.equal(parsed && formatTraceparent(parsed), `00-${traceId}-${parentId}-${isSampled ? '01' : '00'}`);
  }
});

test('of a later version, what every version has is read', () => {
  for (const text of [`01-${traceId}-${parentId}-01`, `cc-${traceId}-${parentId}-01-what the future brings`]) {
    assert.deepEqual(parseTraceparent(text), { traceId, parentId, isSampled: true });
  }
});

for (const text of [
  '',
  `ff-${traceId}-${parentId}-01`,
  `0-${traceId}-${parentId}-01`,
  `00-${traceId.toUpperCase()}-${parentId}-01`,
  `00-${'0'.repeat(32)}-${parentId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.slice(1)}-${parentId}-01`,
  `00-${traceId}-${parentId}0-01`,
  `00-${traceId}-${parentId}-1`,
  `00-${traceId}-${parentId}-01-more`,
  `00-${traceId}-${parentId}-01\n`,
  `01-${traceId}-${parentId}-01more`,
  ` 00-${traceId}-${parentId}-01`,
  `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`,
]) {
  test(`${JSON.stringify(text)} is no traceparent`, () => assert.equal(parseTraceparent(text), undefined));
}
