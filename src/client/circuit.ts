/**
 * The client's end of a circuit: opens it, sends requests ahead, and takes the answers in their order.
 *
 * Knows the messages and nothing about files on disk. Answers come in the order
 * of the requests, so nothing here needs a number for them.
 * Invariant: a refusal from any hop is thrown by whoever waits for the next answer, with the hop named.
 * Specification: docs/protocol.md
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import type { Chunk } from '../io/blocks.ts';
import { readHead } from '../io/head.ts';
import type { Leg } from '../io/leg.ts';
import { type Resolver, reachHop } from '../io/resolve.ts';
import { formatHop, type Hop } from '../wire/address.ts';
import { type Answer, type AnswerOf, decodeAnswer, encodeMessage, type Message } from '../wire/messages.ts';
import { firstLegError, nameHop, refusedError } from './blame.ts';

/** What every connection of one download shares. */
export interface ClientContext {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resolve: Resolver;
  readonly signal: AbortSignal;
}

/** Opens the leg to the first hop; it breaks as soon as the signal aborts. Throws with hop 0 blamed. */
export async function reachFirstHop(hops: readonly Hop[], client: ClientContext): Promise<Leg> {
  const [first] = hops;
  if (!first) throw new HoplineError('ROUTE_SYNTAX', 'the route has no hops');
  const { clock, resolve, signal, limits } = client;
  const { connectMs, idleMs } = limits;
  // Unlike a node, a client has few legs: its blocks may be as large as what comes over them.
  const maxBlockBytes = Math.max(limits.maxBlockBytes, limits.pieceBytes);
  try {
    const leg = await reachHop(first, { clock, resolve, signal, connectMs, idleMs, maxBlockBytes });
    const stop = () => leg.destroy(asHoplineError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    void leg.closed.then(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
    return leg;
  } catch (error) {
    throw firstLegError(asHoplineError(error), hops);
  }
}

export class Circuit {
  readonly hops: readonly Hop[];
  readonly #leg: Leg;
  readonly #client: ClientContext;
  #file = '';
  #answered = false;

  private constructor(leg: Leg, hops: readonly Hop[], client: ClientContext) {
    this.#leg = leg;
    this.hops = hops;
    this.#client = client;
  }

  /** Opens the first leg and sends OPEN and `requests` behind it in one go; nothing is waited for. */
  static async open(hops: readonly Hop[], requests: readonly Message[], client: ClientContext): Promise<Circuit> {
    const leg = await reachFirstHop(hops, client);
    const circuit = new Circuit(leg, hops, client);
    const trace = randomBytes(16).toString('hex');
    circuit.send([
      { type: 'open', hops: hops.map(formatHop), hop: 1, trace, deadlineMs: client.limits.openMs },
      ...requests,
    ]);
    return circuit;
  }

  /** Sends requests without waiting for their answers. */
  send(requests: readonly Message[]): void {
    this.#leg.cork();
    for (const request of requests) {
      if (request.type === 'stat' || request.type === 'put') this.#file = request.name;
      this.#leg.post(encodeMessage(request));
    }
    this.#leg.uncork();
  }

  /** Sends a request and the raw bytes that follow it; settles when their buffer is free. Throws what broke the circuit. */
  sendPiece(request: Message, bytes: Buffer): Promise<void> {
    this.#leg.cork();
    this.#leg.post(encodeMessage(request));
    const written = this.#leg.write(bytes);
    this.#leg.uncork();
    return written;
  }

  /** Settles when an answer arrives or never will, however long that takes while bytes move in either direction. */
  async awaitAnswer(): Promise<void> {
    const chunk = await this.#leg.read().catch(() => null);
    if (chunk) this.#leg.unread(chunk);
  }

  /**
   * The next answer, which must be of `type`; a refusal is about `file`, by default the one asked for last.
   * Throws a refusal, a broken or stalled circuit, or `PEER_PROTOCOL`.
   */
  async receive<Type extends Answer['type']>(type: Type, file: string = this.#file): Promise<AnswerOf<Type>> {
    const { clock, limits } = this.#client;
    const ms = this.#answered ? limits.idleMs : limits.openMs;
    const decode = (bytes: Buffer) => decodeAnswer(bytes, limits.maxHeaderBytes);
    const answer = await readHead(this.#leg, decode, { clock, ms });
    this.#answered = true;
    if (answer === null) throw new HoplineError('PEER_LOST', `${nameHop(1, this.hops)} ended the circuit`);
    if (isOf(answer, type)) return answer;
    if (answer.type === 'refused') throw refusedError(answer, this.hops, file);
    throw new HoplineError('PEER_PROTOCOL', `${nameHop(1, this.hops)} answered ${answer.type} where ${type} was due`);
  }

  /** Passes the next `length` raw bytes to `take` as they arrive, with their place among them; `take` releases each chunk. */
  async receiveBytes(length: number, take: (chunk: Chunk, position: number) => Promise<void>): Promise<void> {
    for (let position = 0; position < length; ) {
      const chunk = await this.#leg.read(length - position);
      if (chunk === null) throw new HoplineError('PEER_LOST', `${nameHop(1, this.hops)} ended the circuit`);
      const { length: taken } = chunk.bytes;
      await take(chunk, position);
      position += taken;
    }
  }

  async close(): Promise<void> {
    this.#leg.destroy();
    await this.#leg.closed;
  }
}

function isOf<Type extends Answer['type']>(answer: Answer, type: Type): answer is AnswerOf<Type> {
  return answer.type === type;
}
