import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseRate, parseSize } from '../../src/wire/quantity.ts';

for (const [text, ms] of [
  ['500ms', 500],
  ['5s', 5000],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['7', 7000],
  ['1.1', 1100],
  ['.5s', 500],
  ['0', 0],
  ['24h', 86_400_000],
] as const) {
  test(`a duration of ${text} is ${ms} ms`, () => assert.equal(parseDuration(text), ms));
}

for (const text of ['', 's', '5 s', '-1', '5d', '1e3', '0x10', 'Infinity', '577h', '5S', '1.']) {
  test(`"${text}" is no duration`, () => assert.equal(parseDuration(text), undefined));
}

for (const [text, bytes] of [
  ['0', 0],
  ['1000', 1000],
  ['4K', 4096],
  ['10g', 10 * 1024 ** 3],
  ['10GiB', 10 * 1024 ** 3],
  ['2TB', 2 * 1024 ** 4],
] as const) {
  test(`a size of ${text} is ${bytes} bytes`, () => assert.equal(parseSize(text), bytes));
}

for (const text of ['', 'K', '1.5G', '-1', '10 G', '1P', '999999999999999T', '1e9']) {
  test(`"${text}" is no size`, () => assert.equal(parseSize(text), undefined));
}

test('a rate may have a fraction, and is at least 1,024 bytes a second', () => {
  assert.equal(parseRate('1.5K'), 1536);
  assert.equal(parseRate('1023'), undefined);
});

test('what is written is read as the same amount', () => {
  const amounts = fc.nat({ max: 2_000_000_000 });
  fc.assert(fc.property(amounts, (ms) => parseDuration(formatDuration(ms)) === ms));
  fc.assert(fc.property(amounts, (bytes) => parseSize(formatSize(bytes)) === bytes));
  for (const unit of [1, 1000, 60_000, 3_600_000]) assert.match(formatDuration(unit), /^1(ms|s|m|h)$/);
  for (const step of [0, 1, 2, 3, 4]) assert.match(formatSize(1024 ** step), /^1[KMGT]?$/);
});
