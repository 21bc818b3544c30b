/**
 * What is measured over a circuit to a hop: round trips, whether large segments pass, and how much passes in a second.
 *
 * Knows PING and PROBE. Does not know routes, nor what is concluded from a figure.
 * Invariant: whatever is asked for is taken before anything else is; a measurement that breaks off ends the circuit, and so does
 * a probe that takes longer than a node gives it.
 */

import { pause } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { WayDirection } from './hop-look.ts';

/** More than a segment holds on most links, and little enough for a leg that is merely slow. */
const largeBytes = 8 * 1024;
/** With the frame before them less than the smallest MTU there is in practice, 1,280. */
const smallBytes = 1000;
const smallProbes = 4;
/** What a rate is begun to be measured with. */
const firstBytes = 16 * 1024;
/** Probes under way at once while a rate is measured, so that the wait for one answer is not one for all. */
const probesAhead = 3;
/** One that takes no longer is followed by one twice as long. */
const quickMs = 100;

/** What one PING brought. */
export interface TripSample {
  readonly ms: number;
  /** The clock of the hop, where it said that, and this machine's in the middle of the round trip. */
  readonly time?: number | undefined;
  readonly wallMs: number;
}

/** One PING after another, the next one `intervalMs` after the answer. Throws what the circuit does. */
export async function measureTrips(
  circuit: Circuit,
  { count, intervalMs, wallClock }: { count: number; intervalMs: number; wallClock: () => number },
  { clock, signal }: ClientContext,
  see: (sample: TripSample) => void,
): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    if (index > 0) await pause(clock, intervalMs, signal);
    signal.throwIfAborted();
    const [sentMs, sentWallMs] = [clock.now(), wallClock()];
    circuit.send([{ type: 'ping' }]);
    const { time } = await circuit.receive('pong');
    see({ ms: clock.now() - sentMs, time, wallMs: (sentWallMs + wallClock()) / 2 });
  }
}

/** Whether more than a small segment passes. Throws what the circuit does but `TIMEOUT_IDLE`: then nothing came for `stallMs`. */
export async function passesLarge(circuit: Circuit, direction: WayDirection, client: ClientContext): Promise<boolean> {
  try {
    await probe(circuit, direction, largeBytes, client);
    return true;
  } catch (error) {
    if (asHoplineError(error).code !== 'TIMEOUT_IDLE') throw error;
    return false;
  }
}

/**
 * Whether small segments pass quickly enough for the large ones to have passed in time, if size were no matter: else what keeps
 * them back is a slow leg. Throws what the circuit does.
 */
export async function passesSmall(
  circuit: Circuit,
  direction: WayDirection,
  tripMs: number,
  client: ClientContext,
): Promise<boolean> {
  const { clock, limits } = client;
  const began = clock.now();
  for (let sent = 0; sent < smallProbes; sent += 1) await probe(circuit, direction, smallBytes, client);
  const tookMs = clock.now() - began - smallProbes * tripMs;
  return (tookMs * largeBytes) / (smallProbes * smallBytes) < limits.stallMs;
}

/** Bytes a second in one direction, measured for about `forMs`. Throws what the circuit does. */
export async function measureRate(
  circuit: Circuit,
  direction: WayDirection,
  { forMs, tripMs }: { readonly forMs: number; readonly tripMs: number },
  client: ClientContext,
): Promise<number> {
  const { clock, limits } = client;
  const began = clock.now();
  const due: number[] = [];
  let bytes = firstBytes;
  let total = 0;
  const ask = () => {
    due.push(bytes);
    sendProbe(circuit, direction, bytes);
  };
  while (due.length < probesAhead) ask();
  for (let length = due.shift(); length !== undefined; length = due.shift()) {
    const askedMs = clock.now();
    await receiveProbed(circuit, direction, length, client);
    total += length;
    const now = clock.now();
    if (now - began >= forMs) continue;
    if (now - askedMs < quickMs) bytes = Math.min(bytes * 2, limits.maxProbeBytes);
    ask();
  }
  // The first answer was on its way for a round trip before anything could come.
  return Math.round((total * 1000) / Math.max(1, clock.now() - began - tripMs));
}

function probe(circuit: Circuit, direction: WayDirection, bytes: number, client: ClientContext): Promise<void> {
  sendProbe(circuit, direction, bytes);
  return receiveProbed(circuit, direction, bytes, client);
}

function sendProbe(circuit: Circuit, direction: WayDirection, bytes: number): void {
  if (direction === 'down') circuit.send([{ type: 'probe', up: 0, down: bytes }]);
  // What breaks the circuit is thrown by whoever waits for the answer.
  else circuit.sendPiece([{ type: 'probe', up: bytes, down: 0 }], Buffer.alloc(bytes)).catch(() => {});
}

/** A hop that brings a byte now and then is never silent, so that nothing else would end the wait for all of them. */
async function receiveProbed(
  circuit: Circuit,
  direction: WayDirection,
  bytes: number,
  { clock, limits }: ClientContext,
): Promise<void> {
  const { probeHoldMs } = limits;
  const late = new HoplineError('TIMEOUT_SLOW', `a probe took longer than ${probeHoldMs / 1000} s (probeHoldMs)`);
  const cancel = clock.after(probeHoldMs, () => circuit.fail(late));
  try {
    const { down } = await circuit.receive('probed');
    const asked = direction === 'down' ? bytes : 0;
    if (down !== asked) throw new HoplineError('PEER_PROTOCOL', 'the answer to a probe is not as long as it was to be');
    const memory = Buffer.allocUnsafe(Math.min(down, 256 * 1024));
    for (let left = down; left > 0; ) {
      const part = memory.subarray(0, Math.min(left, memory.length));
      await circuit.receiveInto(part, () => {});
      left -= part.length;
    }
  } finally {
    cancel();
  }
}
