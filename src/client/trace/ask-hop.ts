/**
 * Asks the last hop of a way whether it is there, over a circuit of its own: what looks into a broken circuit, and what traces
 * a route, both learn from this.
 *
 * Knows when the answer came and what it was. Does not know what was asked for before, or what follows from the answer.
 * Invariant: a node on the way has the time to say what it waited for in vain, before the wait for it is over.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Hop } from '../../wire/address.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import { Circuit, type CircuitKind, type ClientContext } from '../circuit/circuit.ts';
import { nameHop } from '../circuit/refusal-text.ts';

export interface AskedHop {
  /** On which nothing is due; to be closed. */
  readonly circuit: Circuit;
  readonly pong: AnswerOf<'pong'>;
  /** Milliseconds to open the first leg. */
  readonly connectMs: number;
  /** Milliseconds from then until the answer came. */
  readonly answerMs: number;
}

const brokenCodes: ReadonlySet<string> = new Set(['PEER_LOST', 'TIMEOUT_IDLE', 'TIMEOUT_HEAD', 'PEER_PROTOCOL']);

/** Resolves once the last of `hops` has answered, each leg before it within `ms`. Throws what the circuit does. */
export async function askHop(
  hops: readonly Hop[],
  client: ClientContext,
  ms: number,
  kind: Pick<CircuitKind, 'security' | 'avoid'> = {},
): Promise<AskedHop> {
  const { clock, limits } = client;
  // A relay that waits for the next hop until its deadline says so only then.
  const patient = { ...client, limits: { ...limits, connectMs: ms, openMs: ms * 1.25 } };
  const began = clock.now();
  const circuit = await Circuit.open(hops, [{ type: 'ping' }], patient, { ...kind, deadlineMs: ms });
  const opened = clock.now();
  try {
    const pong = await circuit.receive('pong');
    return { circuit, pong, connectMs: opened - began, answerMs: clock.now() - opened };
  } catch (error) {
    await circuit.close();
    throw error;
  }
}

/** Whether a circuit broke or was silent, without a word from any node. */
export function isJustBroken({ code, hop }: HoplineError): boolean {
  return brokenCodes.has(code) && hop === undefined;
}

/** How the leg to hop number `place` is called in messages. */
export function nameLeg(place: number, hops: readonly Hop[]): string {
  return `leg ${place}, from ${nameHop(place - 1, hops)} to ${nameHop(place, hops)}`;
}

/**
 * The error for a hop of which nothing but `failure` came, while the one before it answers: with the hop named. A failure that
 * names its hop is returned as it is.
 */
export function tellSilence(failure: HoplineError, place: number, hops: readonly Hop[]): HoplineError {
  if (!isJustBroken(failure)) return failure;
  const { code, message, reason } = failure;
  const details = { hop: place - 1, cause: failure, ...(reason === undefined ? {} : { reason }) };
  const hop = nameHop(place, hops);
  switch (code) {
    case 'PEER_LOST':
      return new HoplineError(code, `${hop} takes the connection and ends it without a word`, details);
    case 'PEER_PROTOCOL':
      return new HoplineError(code, `what listens at ${hop} is no hopline node: ${message}`, details);
    default:
      return new HoplineError(code, `${hop} takes the connection and says nothing`, details);
  }
}
