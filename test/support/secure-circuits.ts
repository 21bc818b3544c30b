/** Circuits of a client that knows the key of the last node, without the ways and retries of a whole transfer. */

import type { TestContext } from 'node:test';
import { Circuit } from '../../src/client/circuit/circuit.ts';
import type { CircuitSecurity } from '../../src/client/circuit/circuit-security.ts';
import { defaultLimits, systemClock } from '../../src/index.ts';
import { createSystemResolver } from '../../src/io/names/system-resolver.ts';
import { chooseAead } from '../../src/secure/records/openssl.ts';
import { parseHop } from '../../src/wire/address.ts';
import type { Message } from '../../src/wire/native/messages.ts';

/** What must be known is the key of the node; `undefined` opens the circuit in plain. */
export type KnownSecurity = Pick<CircuitSecurity, 'remote'> & Partial<CircuitSecurity>;

/** Opens a circuit over `addresses`, which is closed when the test ends. */
export async function openCircuit(
  t: TestContext,
  addresses: readonly string[],
  requests: readonly Message[],
  known: KnownSecurity | undefined,
): Promise<Circuit> {
  const hops = addresses.map((address) => {
    const parsed = parseHop(address);
    if (parsed.kind === 'bad') throw new Error(parsed.expected);
    return parsed.hop;
  });
  const { signal } = new AbortController();
  const client = { limits: defaultLimits, clock: systemClock, resolve: createSystemResolver(), signal };
  const security = known && { own: undefined, aead: chooseAead(), wallClock: Date.now, ...known };
  const circuit = await Circuit.open(hops, requests, client, { security });
  t.after(() => circuit.close());
  return circuit;
}
