/**
 * The keys that nodes say they have.
 *
 * Invariant: what is asked in plain is believed by nobody here: who wants to know whether somebody has a key has it proven.
 * Documentation: docs/security.md#first-use
 */

import type { Hop } from '../../wire/address.ts';
import { withoutKnownKeys } from '../../wire/keyed-hop.ts';
import { type PublicKey, parsePublicKey } from '../../wire/keys/key.ts';
import { securityOf } from '../circuit/circuit-security.ts';
import { ping } from '../circuit/diagnose.ts';
import { type TransferOptions, withClient } from '../transfer.ts';

/** What the last hop says is its key; undefined if it says none. Throws what the circuit does, and `KEY_INVALID`. */
export function askKey(hops: readonly Hop[], options: TransferOptions): Promise<PublicKey | undefined> {
  return withClient(options, async (client) => {
    const { key } = await ping(hops.map(withoutKnownKeys), client);
    return key === undefined ? undefined : parsePublicKey(key, 'the answer of the node');
  });
}

/** Settles if the last hop has its key. Throws `SECURE_FAILED` if not, and what the circuit does. */
export function proveKey(hops: readonly Hop[], options: TransferOptions): Promise<unknown> {
  return withClient(options, (client) => ping(hops, client, { security: securityOf(hops, client.identity) }));
}
