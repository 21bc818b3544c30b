/**
 * Finds the leg at which a circuit broke or stalled.
 *
 * A relay is a tunnel and cannot put a word between the bytes it passes, so a
 * broken circuit looks the same wherever it broke. The client asks anew: it
 * opens a circuit to each hop in turn, nearest first, and the first that does not answer a PING is the one.
 */

import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Hop } from '../wire/address.ts';
import { nameHop } from './blame.ts';
import { Circuit, type ClientContext } from './circuit.ts';

const brokenCodes: ReadonlySet<string> = new Set(['PEER_LOST', 'TIMEOUT_IDLE', 'TIMEOUT_HEAD', 'PEER_PROTOCOL']);

/**
 * The error to show for `failure` on a circuit over `hops`: with the leg that broke, if it can be found.
 * Anything that already names its hop is returned as it is.
 */
export async function locateFailure(
  failure: HoplineError,
  hops: readonly Hop[],
  client: ClientContext,
): Promise<HoplineError> {
  if (!brokenCodes.has(failure.code) || failure.hop !== undefined || client.signal.aborted) return failure;
  const what = failure.code.startsWith('TIMEOUT') ? 'the circuit stalled' : 'the circuit broke';
  const { probeMs } = client.limits;
  const limits = { ...client.limits, connectMs: probeMs, openMs: probeMs, idleMs: probeMs };
  for (let place = 1; place <= hops.length; place += 1) {
    const blamed = await probe(hops.slice(0, place), { ...client, limits });
    if (client.signal.aborted) return failure;
    if (!blamed) continue;
    const leg = `leg ${place}, from ${nameHop(place - 1, hops)} to ${nameHop(place, hops)}`;
    const { code, reason } = failure;
    const details = { hop: place - 1, cause: failure, ...(reason === undefined ? {} : { reason }) };
    return new HoplineError(code, `${what} at ${leg}: ${blamed.message}`, details);
  }
  const message = `${what}, though every hop answers now: ${failure.message}`;
  return new HoplineError(failure.code, message, { cause: failure });
}

async function probe(hops: readonly Hop[], client: ClientContext): Promise<HoplineError | undefined> {
  let circuit: Circuit | undefined;
  try {
    circuit = await Circuit.open(hops, [{ type: 'ping' }], client);
    await circuit.receive('pong');
    return undefined;
  } catch (error) {
    return asHoplineError(error);
  } finally {
    await circuit?.close();
  }
}
