/**
 * Asks a node whether it is one, and serves: a circuit with nothing but a PING, answered by a PONG.
 *
 * Owns the circuit from its leg to its end. Does not know what follows from the answer.
 * Specification: docs/protocol/requests.md#requests
 */

import { randomBytes } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { readHead } from '../../io/legs/head.ts';
import { type ReachOptions, reachHop } from '../../io/names/resolve.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import { type AnswerOf, decodeAnswer, encodeMessage } from '../../wire/native/messages.ts';

export interface PingOptions extends ReachOptions {
  /** Bytes of JSON in the answer at most. */
  readonly maxHeaderBytes: number;
}

/**
 * Resolves to the answer of the node at `address`; `connectMs` is for the leg, and once more for the answer.
 * Throws as `reachHop` and `readHead`, the code of a refusal, `PEER_LOST` or `PEER_PROTOCOL`.
 */
export async function pingNode(address: Address, options: PingOptions): Promise<AnswerOf<'pong'>> {
  const { clock, connectMs, signal, maxHeaderBytes } = options;
  const leg = await reachHop(address, options);
  try {
    const trace = randomBytes(16).toString('hex');
    leg.cork();
    leg.post(encodeMessage({ type: 'open', hops: [formatHop(address)], hop: 1, trace, deadlineMs: connectMs }));
    leg.post(encodeMessage({ type: 'ping' }));
    leg.uncork();
    const decode = (bytes: Buffer) => decodeAnswer(bytes, maxHeaderBytes);
    const answer = await readHead(leg, decode, { clock, ms: connectMs, signal });
    if (answer?.type === 'pong') return answer;
    if (answer === null) throw new HoplineError('PEER_LOST', `${leg.peer} ended without an answer`);
    if (answer.type === 'refused') throw new HoplineError(answer.code, `${leg.peer} refuses circuits`);
    throw new HoplineError('PEER_PROTOCOL', `${leg.peer} answered ${answer.type} where pong was due`);
  } finally {
    leg.destroy();
    await leg.closed;
  }
}
