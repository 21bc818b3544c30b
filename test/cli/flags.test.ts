import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { countFlag, rateFlag, timesFlag } from '../../src/cli/flags.ts';

for (const [text, bytes] of [
  ['1K', 1024],
  ['1024', 1024],
  ['500k', 512_000],
  ['10M', 10_485_760],
  ['1.5G', 1_610_612_736],
  ['2T', 2_199_023_255_552],
] as const) {
  test(`a rate of ${text} is ${bytes} bytes a second`, () => assert.equal(rateFlag(text), bytes));
}

for (const text of ['', '0', '1023', '0.5K', '-5M', '.5M', '5.M', '1e9', '5KB', '5 M', 'fast', 'Infinity', '0x1000']) {
  test(`a rate of "${text}" is none`, () => assert.throws(() => rateFlag(text), InvalidArgumentError));
}

test('a number of times may be 0, and the message for one that is none says so', () => {
  assert.equal(timesFlag('0'), 0);
  assert.throws(() => timesFlag('-1'), /whole number from 0 to 1000000/);
  assert.throws(() => countFlag('0'), /whole number from 1 to 1000000/);
});
