/**
 * Finds the leg at which a circuit broke or stalled.
 *
 * A relay is a tunnel and cannot put a word between the bytes it passes, so a
 * broken circuit looks the same wherever it broke. The client asks anew: it
 * opens a circuit to each hop, and the nearest that does not answer a PING is the one.
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { eitherOf, OwnSignal } from '../../core/signal.ts';
import type { Hop } from '../../wire/address.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import { askHop, isJustBroken, nameLeg, tellSilence } from '../trace/ask-hop.ts';
import type { CircuitKind, ClientContext } from './circuit.ts';
import { membersTaken } from './opening.ts';
import { nameHop } from './refusal-text.ts';

/**
 * The error to show for `failure` on a circuit over `hops`: with the leg that broke, if it can be found.
 * Anything that already names its hop is returned as it is.
 */
export async function locateFailure(
  failure: HoplineError,
  hops: readonly Hop[],
  client: ClientContext,
): Promise<HoplineError> {
  if (!isJustBroken(failure) || client.signal.aborted) return failure;
  const blamed = await findBroken(hops, client);
  if (client.signal.aborted) return failure;
  if (failure.code === 'PEER_PROTOCOL') return brokeProtocol(failure, blamed?.place, hops);
  const what = failure.code.startsWith('TIMEOUT') ? 'the circuit stalled' : 'the circuit broke';
  if (!blamed) {
    const message = `${what}, though every hop answers now: ${failure.message}`;
    return new HoplineError(failure.code, message, { cause: failure });
  }
  const { place, error } = blamed;
  const { code, reason } = failure;
  const details = { hop: place - 1, cause: failure, ...(reason === undefined ? {} : { reason }) };
  // The time that was waited is that of the failure: asking again has a shorter one.
  const waited = code.startsWith('TIMEOUT') ? `${failure.message}; asked again, ` : '';
  const why = tellSilence(error, place, hops).message;
  return new HoplineError(code, `${what} at ${nameLeg(place, hops)}: ${waited}${why}`, details);
}

/** What came says what is wrong; asking again only says who sent it, since a hop may well be silent by then. */
function brokeProtocol(failure: HoplineError, place: number | undefined, hops: readonly Hop[]): HoplineError {
  const { code, message, reason } = failure;
  const details = { cause: failure, ...(reason === undefined ? {} : { reason }) };
  if (place !== undefined) {
    return new HoplineError(code, `${nameHop(place, hops)} broke the protocol: ${message}`, {
      ...details,
      hop: place - 1,
    });
  }
  const who = hops.length === 1 ? nameHop(1, hops) : `${nameHop(1, hops)}, or one behind it,`;
  return new HoplineError(code, `${who} broke the protocol, though every hop answers now: ${message}`, details);
}

/** The nearest hop, of those at place `from` and behind, that does not answer. All are asked at once, since whoever waits has a download to go on with. */
export async function findBroken(
  hops: readonly Hop[],
  client: ClientContext,
  { ms = client.limits.probeMs, from = 1 }: { readonly ms?: number; readonly from?: number } = {},
): Promise<{ readonly place: number; readonly error: HoplineError } | undefined> {
  const found = new OwnSignal();
  const { signal, release } = eitherOf(client.signal, found);
  const context = { ...client, signal };
  const taken = membersTaken(hops);
  const probes = hops.slice(from - 1).map((_hop, index) => probe(taken.slice(0, from + index), context, ms));
  try {
    for (const [index, probed] of probes.entries()) {
      const error = await probed;
      if (error) return { place: from + index, error };
    }
    return undefined;
  } finally {
    found.abort();
    await Promise.all(probes);
    release();
  }
}

function probe(hops: readonly Hop[], client: ClientContext, ms: number): Promise<HoplineError | undefined> {
  return askHop(hops, client, ms).then(({ circuit }) => circuit.close().then(() => undefined), asHoplineError);
}

/** The last hop's answer to a PING over a circuit of its own. Throws what the circuit does. */
export async function ping(
  hops: readonly Hop[],
  client: ClientContext,
  kind?: Pick<CircuitKind, 'security'>,
): Promise<AnswerOf<'pong'>> {
  const { circuit, pong } = await askHop(hops, client, client.limits.connectMs, kind);
  await circuit.close();
  return pong;
}
