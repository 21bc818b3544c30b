/**
 * A node as the origin: answers STAT, READ, DIGEST, LIST, PING, PROBE and uploads, in the order of the requests.
 *
 * Reads a block from disk while the one before it is on its way, and no further
 * ahead: a slow client stops the reads. Answers to requests that came together
 * leave together.
 * Invariant: memory per circuit is two blocks, and two pieces for an upload, whatever the file's size.
 * Specification: docs/protocol/requests.md#requests
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { createBreaks } from '../../core/work/breaks.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { TunnelProgress } from '../../io/legs/join.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import type { PlacedConnection } from '../../io/listening/places.ts';
import { limitWrites } from '../../io/rates/limited-leg.ts';
import { encodeMessage, type Message, type Request, type RequestOf, refusal } from '../../wire/native/messages.ts';
import { namesOf, type Open } from '../../wire/native/open-message.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { messageForLog } from '../logged-failure.ts';
import { Receiver } from '../uploads/upload-answers.ts';
import { ContentWriter } from './content-writer.ts';
import { type DueRequest, DueRequests } from './due-requests.ts';
import { FileAnswers } from './file-answers.ts';
import { answerList, type ListOptions } from './list-answer.ts';
import { describeNode } from './node-answer.ts';
import { Outbox } from './outbox.ts';
import { answerProbe, type ProbeOptions } from './probe-answer.ts';

export interface OriginOptions {
  readonly node: NodeContext;
  /** What the client may do. */
  readonly grant: Grant;
  /** The connection that holds a place at the node, where the leg only stands on it. @default the leg */
  readonly place?: PlacedConnection;
}

/** Serves one circuit until the client ends it. Throws when the client breaks the protocol or its leg. */
export async function serveOrigin(leg: LegLike, open: Open, options: OriginOptions): Promise<void> {
  const { node, grant, place = leg } = options;
  const circuit = new OriginCircuit(leg, open, { node, grant, place });
  const names = namesOf(open);
  const { clock, metrics, traffic } = node;
  metrics.served += 1;
  const started = clock.now();
  const shown = traffic.begin({ role: 'origin', peer: leg.peer, ...names, secure: place !== leg });
  shown.goesOn(() => circuit.progress);
  let failure: HoplineError | undefined;
  try {
    for (let due = await circuit.next(); due; due = await circuit.next()) {
      node.connections.wake(place);
      await circuit.answer(due);
    }
    await circuit.drain();
    node.connections.leave(place, node.limits);
    grant.leave();
    await leg.linger(node.limits.lingerMs);
    await leg.closed;
    // Pings come every second or two.
    const tell = circuit.isUsed ? node.log.info : node.log.debug;
    tell.call(node.log, { peer: leg.peer, key: grant.who, ...names, ...circuit.summary }, 'circuit served');
  } catch (error) {
    failure = asHoplineError(error);
    throw error;
  } finally {
    shown.close(failure);
    metrics.originSeconds.observe((clock.now() - started) / 1000);
    grant.leave();
    await circuit.close();
  }
}

/** Milliseconds that an answer may wait for the ones to requests that came with its own. */
const gatherMs = 5;

class OriginCircuit {
  readonly #leg: LegLike;
  readonly #open: Open;
  readonly #node: NodeContext;
  readonly #grant: Grant;
  readonly #outbox: Outbox;
  readonly #content: ContentWriter;
  readonly #receiver: Receiver;
  readonly #due: DueRequests;
  readonly #files: FileAnswers;
  readonly #list: ListOptions;
  readonly #probe: ProbeOptions;
  readonly #closing = new Tasks();
  readonly #takeBreak = createBreaks();
  /** Whether the last STAT was refused: the READs sent along with it are then refused as a matter of course. */
  #isRefused = false;
  /** Whether anything but PING was asked. */
  isUsed = false;
  #entries = 0;

  constructor(leg: LegLike, open: Open, { node, grant, place }: Required<OriginOptions>) {
    this.#leg = leg;
    this.#open = open;
    this.#node = node;
    this.#grant = grant;
    const rates = node.rates.open(grant.rights.limitRate);
    this.#outbox = new Outbox(limitWrites(leg, rates?.back), node.limits.maxBlockBytes, node.clock);
    this.#content = new ContentWriter(leg, this.#outbox, {
      kernel: node.join.kernel,
      rate: rates?.back,
      moved: node.metrics.moved.origin,
    });
    this.#files = new FileAnswers({ node, outbox: this.#outbox, content: this.#content, closing: this.#closing });
    this.#list = { leg, open, node, grant, outbox: this.#outbox, isSealed: place !== leg };
    this.#probe = { leg, node, rate: rates?.forward, outbox: this.#outbox, content: this.#content };
    grant.hold({
      reset: (reason) => leg.destroy(reason),
      wake: (reason) => void leg.interrupt(reason),
      rates,
      ratesOf: (owner, bytesPerSecond) => node.rates.of(owner, bytesPerSecond),
    });
    const send = async (message: Message) => {
      await this.#send(message);
      this.flush();
    };
    this.#receiver = new Receiver({ leg, open, node, grant, rate: rates?.forward, send });
    const beforeWait = () => {
      this.flush();
      node.connections.rest(place);
    };
    this.#due = new DueRequests(leg, node, grant, { beforeWait, signal: this.#receiver.failure });
  }

  get summary(): { files: number; bytes: number; entries: number } {
    const { files, bytes } = this.#files;
    return { files, bytes, entries: this.#entries };
  }

  /** What has passed: content, without the frames around it. */
  get progress(): TunnelProgress {
    return { bytesForward: this.#receiver.bytes, bytesBack: this.#content.bytes, inKernel: this.#content.usesKernel };
  }

  /** The request whose turn it is, or null when the client has ended. Throws as `readHead`. */
  next(): Promise<DueRequest | null> {
    return this.#due.next();
  }

  /** Answers one request; a file that cannot be served, or a damaged piece, is a refusal, and the circuit goes on. */
  async answer(due: DueRequest): Promise<void> {
    try {
      if (due.request.type !== 'ping') this.#grant.check();
      await this.#perform(due);
    } catch (cause) {
      const error = asHoplineError(cause);
      if (!isAboutOne(error, due.request) || this.#leg.failure) {
        // What was answered before still goes out, ahead of the refusal that ends the circuit.
        await this.drain().catch(() => {});
        throw error;
      }
      this.#report(error, due.request);
      await this.#send(refusal(error, this.#open.hop));
    }
    if (this.#outbox.waitedMs > gatherMs) this.flush();
    await this.#takeBreak();
  }

  async #perform({ request, opening }: DueRequest): Promise<void> {
    if (request.type === 'write') {
      // The answer to the piece before is sent behind this one's back.
      this.flush();
      return this.#receiver.write(request);
    }
    await this.#receiver.settle();
    if (request.type !== 'ping') this.isUsed = true;
    if (opening) {
      await this.#files.stat(request, opening);
      this.#isRefused = false;
      return;
    }
    switch (request.type) {
      case 'ping':
        return this.#send(describeNode(this.#node, this.#grant));
      case 'probe':
        return answerProbe(request, this.#probe);
      case 'read':
        return this.#read(request);
      case 'digest':
        return this.#files.digest(request);
      case 'list':
        this.#entries += await answerList(request, this.#list);
        return;
      case 'put':
        return this.#receiver.put(request);
      case 'commit':
        return this.#receiver.commit();
      case 'connect':
        throw new HoplineError('PEER_PROTOCOL', 'CONNECT came where no tunnel can begin');
    }
  }

  /** One READ or, where it stands for several, each of them; a refusal is the last answer. */
  async #read(request: RequestOf<'read'>): Promise<void> {
    const check = () => this.#grant.check();
    for (let next = await this.#files.read(request, check); next; next = await this.#files.read(next, check)) {
      await this.#takeBreak();
      check();
    }
  }

  flush(): void {
    this.#outbox.flush();
  }

  drain(): Promise<void> {
    return this.#outbox.drain();
  }

  async close(): Promise<void> {
    await this.#receiver.close();
    this.#content.close();
    this.#files.close();
    this.#due.close(this.#closing);
    await this.#closing.over();
  }

  #send(message: Message): Promise<void> {
    return this.#outbox.append(encodeMessage(message));
  }

  #report(error: HoplineError, request: Request): void {
    if (request.type === 'read' && this.#isRefused) return;
    if (request.type === 'stat') this.#isRefused = true;
    // How a client learns that it should ask for a listing: nothing has failed.
    if (error.code === 'FILE_IS_DIRECTORY') return;
    this.#node.metrics.countFailure(error.code);
    this.#node.traffic.refused(this.#leg.peer, error);
    const { peer } = this.#leg;
    const message = messageForLog(error, this.#list.isSealed);
    this.#node.log.warn({ peer, ...namesOf(this.#open), code: error.code, reason: error.reason }, message);
  }
}

/** Whether a refusal leaves the requests behind it as they are; after a WRITE or a PROBE that nobody read, its bytes would be next. */
function isAboutOne({ code }: HoplineError, { type }: Request): boolean {
  if (code === 'AUTH_DENIED') return type !== 'write' && type !== 'probe';
  // Another name may be free, and the client may ask whether the file of this one is its own.
  if (code === 'DISK_EXISTS') return type === 'put';
  return code.startsWith('FILE_') || code === 'HASH_MISMATCH';
}
