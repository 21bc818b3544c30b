/** What of a way is at fault, as the error of a transfer shows it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alongRoute } from '../../../src/client/trace/route-steps.ts';
import { type ErrorCode, HoplineError } from '../../../src/core/errors.ts';
import { type Hop, parseHop } from '../../../src/wire/address.ts';

const hops = ['a:1', 'b:2', 'c:3'].map((text) => (parseHop(text) as { hop: Hop }).hop);

for (const [code, hop, expected] of [
  ['PEER_UNREACHABLE', 0, 'a:1 fails leg, b:2 unreached, c:3 unreached'],
  ['PEER_UNREACHABLE', 2, 'a:1 passes, b:2 passes, c:3 fails leg'],
  ['POLICY_DENIED', 1, 'a:1 passes, b:2 fails leg, c:3 unreached'],
  ['LIMIT_CONNECTIONS', 2, 'a:1 passes, b:2 fails, c:3 unreached'],
  ['NODE_STOPPING', 1, 'a:1 fails, b:2 unreached, c:3 unreached'],
  ['FILE_NOT_FOUND', 3, undefined],
  ['AUTH_DENIED', 3, undefined],
  ['HASH_MISMATCH', 3, undefined],
  ['PEER_LOST', undefined, undefined],
  ['PEER_LOST', 9, undefined],
] as const satisfies readonly (readonly [ErrorCode, number | undefined, string | undefined])[]) {
  test(`${code} of hop ${hop} ${expected ? `shows ${expected}` : 'is no fault of the route'}`, () => {
    const error = new HoplineError(code, 'it failed', {
      ...(hop === undefined ? {} : { hop }),
      reason: 'ECONNREFUSED',
    });
    const { route, ...rest } = alongRoute(error, hops);
    const shown = route?.map(({ address, state, leg }) => `${address} ${state}${leg ? ' leg' : ''}`).join(', ');
    assert.equal(shown, expected);
    assert.deepEqual([rest.code, rest.hop, rest.reason], [error.code, error.hop, error.reason]);
  });
}

test('a leg that was found broken shows as that, and the cause stays', () => {
  const cause = new HoplineError('PEER_LOST', 'gone');
  const error = alongRoute(new HoplineError('PEER_PROTOCOL', 'it failed', { hop: 1, cause }), hops);
  assert.deepEqual(error.route?.[1], { address: 'b:2', state: 'fails', leg: true });
  assert.equal(error.cause, cause);
});
