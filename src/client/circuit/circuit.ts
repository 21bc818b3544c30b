/**
 * The client's end of a circuit: opens it, sends requests ahead, and takes the answers in their order.
 *
 * Knows the messages and nothing about files on disk. Answers come in the order of the requests, and need no number.
 * Invariant: a refusal from any hop is thrown by whoever waits for the next answer, with the hop named.
 * Specification: docs/protocol/circuits.md
 */

import { every } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { PieceBlocks } from '../../io/kernel/piece-blocks.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { limitWrites, type Writer } from '../../io/rates/limited-leg.ts';
import type { Hop } from '../../wire/address.ts';
import type { KeyPair, PublicKey } from '../../wire/keys/key.ts';
import { type Answer, type AnswerOf, encodeMessage, type Message } from '../../wire/native/messages.ts';
import { type CircuitSecurity, openSecurely } from './circuit-security.ts';
import { type FirstLegOptions, reachFirstHop } from './first-leg.ts';
import { LegIntake, type LegIntakeOptions } from './leg-intake.ts';
import { noteTaken, type OpeningOptions, openingOf } from './opening.ts';
import { nameHop, refusedError } from './refusal-text.ts';

/** What every connection of one download shares. */
export interface ClientContext extends LegIntakeOptions, FirstLegOptions {
  /** The key of this client, which nodes see that have one. @default none */
  readonly identity?: KeyPair | undefined;
  /** What all of it is for, for the logs of nodes. @default nothing that they know */
  readonly traceparent?: string | undefined;
}

export interface CircuitKind extends Pick<OpeningOptions, 'tunnel' | 'avoid'> {
  /** Milliseconds that the nodes on the way have to reach the last one. @default those that its first answer is waited for */
  readonly deadlineMs?: number | undefined;
  /** Encrypts all that passes between here and the last node. @default plain */
  readonly security?: CircuitSecurity | undefined;
}

/** Where a circuit leads, and what nodes call it; `taken` are the hops once more, in which members are noted. */
type CircuitWay = Pick<Circuit, 'hops' | 'key' | 'trace'> & { readonly taken?: Hop[] };

export class Circuit {
  /** The hops as they were asked for. */
  readonly asked: readonly Hop[];
  /** What every answer of the last node is sealed by; undefined where all is in plain. */
  readonly key: PublicKey | undefined;
  /** By this the logs of its nodes know it. */
  readonly trace: string;
  firstLeg?: Pick<LegLike, 'descriptor'>;
  /** Called once something has come back. */
  onAnswered = () => {};
  /** Milliseconds from its first request to its first answer; 0 until then, and for one that was resumed. */
  answerMs = 0;
  /** What pieces are received into. */
  readonly blocks: PieceBlocks;
  readonly #hops: Hop[];
  readonly #leg: LegLike;
  readonly #client: ClientContext;
  readonly #intake: LegIntake;
  readonly #writer: Writer;
  #file = '';
  #answered = false;
  #sentMs: number;
  /** Pings that were sent to show that somebody is here, and are not answered yet. */
  #pulses = 0;
  /** Requests that are not answered yet, pulses among them. */
  #due = 0;
  /** Pieces of the READ that is being answered that follow the one that comes. */
  #morePieces = 0;
  #closing: Promise<void> | undefined;

  private constructor(leg: LegLike, { hops, key, trace, taken = [...hops] }: CircuitWay, client: ClientContext) {
    this.#leg = leg;
    this.asked = hops;
    this.key = key;
    this.trace = trace;
    this.#hops = taken;
    this.#client = client;
    this.blocks = client.blocks ?? new PieceBlocks();
    this.#intake = new LegIntake(leg, nameHop(1, hops), client);
    this.#writer = limitWrites(leg, client.rate);
    this.#sentMs = client.clock.now();
    const close = () => void this.close();
    client.signal.addEventListener('abort', close, { once: true });
    void leg.closed.then(() => client.signal.removeEventListener('abort', close));
    if (client.signal.aborted) close();
  }

  /** Opens the first leg and sends OPEN and `requests` behind it in one go; nothing is waited for. */
  static async open(
    hops: readonly Hop[],
    requests: readonly Message[],
    client: ClientContext,
    { security, deadlineMs = client.limits.openMs, ...kind }: CircuitKind = {},
  ): Promise<Circuit> {
    const leg = await reachFirstHop(hops, client);
    const { traceparent } = client;
    const { open, first } = openingOf(hops, requests, { ...kind, traceparent, isSealed: !!security, deadlineMs });
    const taken = [...hops];
    const secure = security && openSecurely(leg, { open, first, hops: taken, client, security });
    const circuit = new Circuit(secure ?? leg, { hops, key: security?.remote, trace: open.trace, taken }, client);
    circuit.firstLeg = leg;
    if (secure) circuit.#count(first);
    else circuit.send([open, ...first]);
    return circuit;
  }

  /** Goes on with the leg of a circuit that was released, and on which nothing is due. */
  static resume(leg: LegLike, way: Pick<Circuit, 'hops' | 'key' | 'trace'>, client: ClientContext): Circuit {
    const circuit = new Circuit(leg, way, client);
    circuit.#answered = true;
    return circuit;
  }

  /** The same, each pool with the member that was taken once that is known. */
  get hops(): readonly Hop[] {
    return this.#hops;
  }

  /** Whether anything came back: then the nodes on the way understand this client. */
  get isAnswered(): boolean {
    return this.#answered;
  }

  /** Whether every request has its answer. */
  get isSettled(): boolean {
    return this.#due === 0;
  }

  /** Sends requests without waiting for their answers. */
  send(requests: readonly Message[]): void {
    this.#leg.cork();
    for (const request of requests) this.#writer.post(encodeMessage(request));
    this.#leg.uncork();
    this.#count(requests);
  }

  #count(requests: readonly Message[]): void {
    for (const request of requests) {
      if (request.type === 'stat' || request.type === 'put') this.#file = request.name;
      if (request.type !== 'open') this.#due += 1;
    }
    if (requests.length > 0) this.#sentMs = this.#client.clock.now();
  }

  /** Sends requests, raw bytes that follow the last of them, and requests `behind`; settles when the buffer is free. Throws what broke the circuit. */
  sendPiece(requests: readonly Message[], bytes: Buffer, behind: readonly Message[] = []): Promise<void> {
    this.#leg.cork();
    this.send(requests);
    const written = this.#writer.write(bytes);
    this.send(behind);
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
    let answer: Answer | null;
    do {
      // One that is here already takes neither a timer nor anyone's patience.
      answer = this.#intake.readAnswerNow() ?? (await this.#awaitAny(type));
    } while (answer !== null && !this.#isAnswer(answer, type));
    if (answer === null) throw new HoplineError('PEER_LOST', `${nameHop(1, this.hops)} ended the circuit`);
    if (answer.type === type) return answer as AnswerOf<Type>;
    if (answer.type === 'refused') throw refusedError(answer, this.hops, file);
    throw new HoplineError('PEER_PROTOCOL', `${nameHop(1, this.hops)} answered ${answer.type} where ${type} was due`);
  }

  /** Fills `memory` with the raw bytes that are next, and tells `onBytes` how many have come as they do. Throws as `receive`. */
  async receiveInto(memory: Buffer, onBytes: (count: number) => void): Promise<void> {
    this.#showLife();
    const filled = await this.#intake.fill(memory, (count) => {
      this.#showLife();
      onBytes(count);
    });
    if (filled < memory.length) throw new HoplineError('PEER_LOST', `${nameHop(1, this.hops)} ended the circuit`);
  }

  /** Does something that may take long, and shows meanwhile that the circuit is used. Throws what `work` does. */
  during<Result>(work: () => Promise<Result>): Promise<Result> {
    return work().finally(every(this.#client.clock, this.#client.limits.pulseMs, () => this.#showLife()));
  }

  /** The next answer, of whatever type; null when the peer has ended. */
  #awaitAny(due: Answer['type']): Promise<Answer | null> {
    const { openMs, idleMs } = this.#client.limits;
    // The time that the circuit takes to open is not the peer's.
    if (!this.#answered) return this.#intake.readAnswer(openMs);
    return this.#intake.readAnswer(idleMs, due === 'data' || due === 'end' ? 'content' : 'answer');
  }

  /** Takes note of what came: whether it is for whoever waits, and no answer to a pulse, nor that it takes its time. */
  #isAnswer(answer: Answer, due: Answer['type']): boolean {
    if (answer.type === 'taken') noteTaken(answer, this.#hops);
    else this.#noteAnswer(answer);
    const isPulse = answer.type === 'pong' && this.#pulses > 0;
    if (isPulse) this.#pulses -= 1;
    const isWork = answer.type === 'working' && (due === 'ready' || due === 'committed');
    return !isPulse && !isWork && answer.type !== 'taken';
  }

  #noteAnswer(answer: Answer): void {
    if (answer.type === 'data') this.#morePieces = answer.more ?? 0;
    if (endsAnswer(answer, this.#morePieces)) this.#due -= 1;
    if (this.#answered) return;
    this.#answered = true;
    this.answerMs = this.#client.clock.now() - this.#sentMs;
    this.onAnswered();
  }

  /**
   * Shows every node that the circuit is used, though it may have passed on long ago what is only arriving here:
   * on a slow circuit, megabytes wait in between.
   */
  #showLife(): void {
    const { clock, limits } = this.#client;
    if (clock.now() - this.#sentMs < limits.pulseMs) return;
    this.send([{ type: 'ping' }]);
    this.#pulses += 1;
  }

  /** Hands the leg over, on which nothing is due; from then on the circuit does nothing more. */
  release(): LegLike {
    this.#closing = Promise.resolve();
    return this.#leg;
  }

  /** Breaks the circuit: whoever waits for an answer gets `error`. */
  fail(error: HoplineError): void {
    this.#leg.destroy(error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closing on the answers to pulses would look like a break to every node. */
  async #close(): Promise<void> {
    if (this.#pulses > 0 && this.#pulses === this.#due) await this.#leg.linger(this.#client.limits.lingerMs);
    this.#leg.destroy();
    await this.#leg.closed;
  }
}

/** Whether nothing more comes of the request that is answered; a READ may stand for several pieces. */
function endsAnswer(answer: Answer, morePieces: number): boolean {
  if (answer.type === 'end') return morePieces === 0;
  return answer.type === 'listing' ? answer.last : answer.type !== 'data' && answer.type !== 'working';
}
