/** A client's circuit for one test, spoken by hand: what is sent is up to the test, in whatever order. */

import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Circuit } from '../../src/client/circuit.ts';
import { defaultLimits, type Limits, type RunningNode, systemClock } from '../../src/index.ts';
import { systemResolver } from '../../src/io/resolve.ts';
import { parseHop } from '../../src/wire/address.ts';
import type { Message } from '../../src/wire/messages.ts';
import { addressOf } from './chain.ts';

/** Opens a circuit over `nodes` with `requests` behind OPEN; closed when the test ends. */
export async function openCircuit(
  t: TestContext,
  nodes: readonly RunningNode[],
  requests: readonly Message[],
  limits: Partial<Limits> = {},
): Promise<Circuit> {
  const hops = nodes.map((node) => {
    const parsed = parseHop(addressOf(node));
    if (parsed.kind === 'bad') throw new Error(parsed.expected);
    return parsed.hop;
  });
  const { signal } = new AbortController();
  const client = { limits: { ...defaultLimits, ...limits }, clock: systemClock, resolve: systemResolver, signal };
  const circuit = await Circuit.open(hops, requests, client);
  t.after(() => circuit.close());
  return circuit;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
