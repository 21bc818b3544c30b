import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, exitCodes, exitHelp } from '../../src/cli/terminal/exit-codes.ts';
import { asHoplineError, errorCodes, HoplineError } from '../../src/core/errors.ts';
import { hintFor } from '../../src/core/failure/hints.ts';
import { wireCodes } from '../../src/wire/native/refusal.ts';

test('a code is listed once', () => {
  assert.equal(new Set(errorCodes).size, errorCodes.length);
});

for (const code of errorCodes) {
  test(`${code} has an exit code other than 0 that --help lists, and a hint`, () => {
    const exit = exitCodeOf(code);
    assert.ok(exit > 0 && exit < 256);
    assert.match(exitHelp(), new RegExp(`^ +${exit}  \\S`, 'm'));
    assert.match(hintFor(code), /^\S.*[^.\s]$/);
  });
}

test('each exit code has one meaning', () => {
  const codes = Object.values(exitCodes).map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
});

test('what arises on the client’s own machine never travels', () => {
  const local = errorCodes.filter((code) => /^(USAGE|ROUTE_(SYNTAX|TOO))|INTERRUPTED|LISTEN|DEADLINE/.test(code));
  assert.equal(local.length, 6);
  for (const code of local) assert.ok(!(wireCodes as readonly string[]).includes(code), code);
  assert.ok(wireCodes.every((code) => errorCodes.includes(code)));
  assert.ok(wireCodes.includes('INTERNAL'));
});

test('a HoplineError stays as it is, and anything else becomes INTERNAL with its cause', () => {
  const ours = new HoplineError('PEER_LOST', 'gone', { hop: 2, reason: 'ECONNRESET' });
  assert.equal(asHoplineError(ours), ours);
  assert.deepEqual([ours.hop, ours.reason, ours.cause], [2, 'ECONNRESET', undefined]);
  const cause = new TypeError('x is not a function');
  const wrapped = asHoplineError(cause);
  assert.deepEqual([wrapped.code, wrapped.message, wrapped.cause], ['INTERNAL', cause.message, cause]);
  assert.equal(asHoplineError('text').message, 'text');
});

test('JSON of an error has all that it says, and neither cause nor stack', () => {
  const cause = new Error('secret');
  const error = new HoplineError('POLICY_DENIED', 'hop 1 refused', { hop: 1, reason: 'EACCES', cause });
  const hint = hintFor('POLICY_DENIED');
  const said = { code: 'POLICY_DENIED', message: 'hop 1 refused', hop: 1, reason: 'EACCES', hint };
  assert.deepEqual(JSON.parse(JSON.stringify(error)), said);
  assert.equal(error.hint, hint);
});
