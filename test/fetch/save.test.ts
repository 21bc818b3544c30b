import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continues, type Left } from '../../src/fetch/save.ts';
import { strongValidator } from '../../src/http/representation/conditions.ts';

const date = ['Date', 'Sat, 21 Nov 2026 13:00:00 GMT'];

test('only what names exactly one state of a file is taken for its version', () => {
  const table = [
    [['ETag', '"a"'], '"a"'],
    [['etag', '""'], '""'],
    [['ETag', 'W/"a"'], undefined],
    [['ETag', 'a'], undefined],
    [['ETag', '"a", "b"'], undefined],
    [['ETag', 'W/"a"', 'Last-Modified', 'Sat, 21 Nov 2026 10:00:00 GMT', ...date], undefined],
    [['Last-Modified', 'Sat, 21 Nov 2026 12:59:59 GMT', ...date], 'Sat, 21 Nov 2026 12:59:59 GMT'],
    [['Last-Modified', 'Sat, 21 Nov 2026 13:00:00 GMT', ...date], undefined],
    [['Last-Modified', 'Sat, 21 Nov 2026 12:59:59 GMT'], undefined],
    [['Last-Modified', 'yesterday', ...date], undefined],
    [[], undefined],
  ] as const;
  for (const [fields, version] of table) assert.equal(strongValidator(fields), version, fields.join(' '));
});

test('an answer goes on with a file only if it is exactly the rest, of the same version', () => {
  const content = { file: 'http://a/', size: 10, pieceBytes: 4, algorithm: 'sha256' } as const;
  const left: Left = { offset: 4, content, reservation: 'sparse', version: '"a"' };
  const answer = (status: number, ...fields: string[]) => ({ status, reason: '', fields, body: undefined });
  const range = 'Content-Range';
  assert.ok(continues(answer(206, range, 'bytes 4-9/10', 'ETag', '"a"'), left));
  assert.ok(continues(answer(206, range, 'bytes 4-9/10'), left));
  assert.ok(continues(answer(206, range, 'bytes 4-9/10', 'ETag', '"b"'), { ...left, version: date[1] ?? '' }));
  const others = [
    answer(200, range, 'bytes 4-9/10', 'ETag', '"a"'),
    answer(206, range, 'bytes 4-9/10', 'ETag', '"b"'),
    answer(206, range, 'bytes 4-9/10', 'ETag', 'W/"a"'),
    answer(206, range, 'bytes 3-9/10', 'ETag', '"a"'),
    answer(206, range, 'bytes 4-8/10', 'ETag', '"a"'),
    answer(206, range, 'bytes 4-9/11', 'ETag', '"a"'),
    answer(206, range, 'bytes 4-9/*', 'ETag', '"a"'),
    answer(206, 'Content-Type', 'multipart/byteranges'),
    answer(416, range, 'bytes */10'),
  ];
  for (const other of others) assert.equal(continues(other, left), false, other.fields.join(' '));
});
