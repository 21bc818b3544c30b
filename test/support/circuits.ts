/** A client's circuit for one test, spoken by hand: what is sent is up to the test, in whatever order. */

import { createHash, randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Circuit } from '../../src/client/circuit/circuit.ts';
import { defaultLimits, type Limits, type RunningNode, systemClock } from '../../src/index.ts';
import { createSystemResolver } from '../../src/io/names/system-resolver.ts';
import { parseHop } from '../../src/wire/address.ts';
import { encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, startPeer } from './chain.ts';

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
  const client = {
    limits: { ...defaultLimits, ...limits },
    clock: systemClock,
    resolve: createSystemResolver(),
    signal,
  };
  const circuit = await Circuit.open(hops, requests, client);
  t.after(() => circuit.close());
  return circuit;
}

/** Has a relay hold a circuit, to a peer that says nothing, until the test ends. */
export async function occupy(t: TestContext, relay: RunningNode): Promise<void> {
  const peer = await startPeer(t, () => {});
  const socket = await connectRaw(t, relay);
  const hops = [addressOf(relay), peer.address];
  socket.write(
    encodeMessage({ type: 'open', hops, hop: 1, trace: randomBytes(16).toString('hex'), deadlineMs: 10_000 }),
  );
  await peer.connected;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
