/**
 * A node as the origin: answers STAT, READ, DIGEST, LIST, PING and uploads, in the order of the requests.
 *
 * Reads a block from disk while the one before it is on its way, and no further
 * ahead: a slow client stops the reads. Answers to requests that came together
 * leave together. A piece whose digest is known is not hashed again, and where
 * there is a kernel path it does not pass through this process either.
 * Invariant: memory per circuit is two blocks, and two pieces for an upload, whatever the file's size.
 * Specification: docs/protocol.md#requests
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { software } from '../../core/software.ts';
import { createBreaks } from '../../core/work/breaks.ts';
import { chooseDigest, type DigestAlgorithm } from '../../io/digests/digest.ts';
import { openServed } from '../../io/disk/reading/served-file.ts';
import { changed, type VersionedFile } from '../../io/disk/reading/versioned-file.ts';
import { readHead, readHeadNow } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { limitWrites } from '../../io/rates/limited-writer.ts';
import {
  decodeRequest,
  encodeMessage,
  type Message,
  type Open,
  type Request,
  type RequestOf,
  refusal,
} from '../../wire/native/messages.ts';
import type { NodeContext } from '../context.ts';
import { Listing } from '../listings/listing.ts';
import { servedRoot } from '../root.ts';
import { Receiver } from '../uploads/upload-answers.ts';
import { ContentWriter } from './content-writer.ts';
import type { PieceDigests } from './digest-cache.ts';
import { Outbox } from './outbox.ts';

/** Serves one circuit until the client ends it. Throws when the client breaks the protocol or its leg. */
export async function serveOrigin(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  const circuit = new OriginCircuit(leg, open, node);
  node.metrics.served += 1;
  const takeBreak = createBreaks();
  try {
    for (let due = await circuit.next(); due; due = await circuit.next()) {
      node.connections.wake(leg);
      await circuit.answer(due);
      await takeBreak();
    }
    await circuit.drain();
    node.connections.leave(leg, node.limits);
    await leg.linger(node.limits.lingerMs);
    await leg.closed;
    // Pings come every second or two.
    const tell = circuit.isUsed ? node.log.info : node.log.debug;
    tell.call(node.log, { peer: leg.peer, hop: open.hop, trace: open.trace, ...circuit.summary }, 'circuit served');
  } finally {
    await circuit.close();
  }
}

/** Milliseconds that an answer may wait for the ones to requests that came with its own. */
const gatherMs = 5;

/** Requests that are looked at before their turn, so that their files are open by then. */
const requestsAhead = 8;

interface DueRequest {
  readonly request: Request;
  /** For STAT. */
  readonly opening?: Promise<VersionedFile>;
}

interface OpenFile {
  readonly served: VersionedFile;
  readonly digest: DigestAlgorithm;
  readonly digests: PieceDigests;
  /** The first piece that was not asked for yet. */
  nextPiece: number;
}

class OriginCircuit {
  readonly #leg: Leg;
  readonly #open: Open;
  readonly #node: NodeContext;
  readonly #outbox: Outbox;
  readonly #content: ContentWriter;
  readonly #receiver: Receiver;
  readonly #due: DueRequest[] = [];
  readonly #closing = new Set<Promise<void>>();
  #file: OpenFile | undefined;
  /** Whether the last STAT was refused: the READs sent along with it are then refused as a matter of course. */
  #refused = false;
  #gathering = 0;
  /** Whether anything but PING was asked. */
  isUsed = false;
  #files = 0;
  #bytes = 0;
  #entries = 0;

  constructor(leg: Leg, open: Open, node: NodeContext) {
    this.#leg = leg;
    this.#open = open;
    this.#node = node;
    const rates = node.openRates();
    this.#outbox = new Outbox(limitWrites(leg, rates?.back), node.limits.maxBlockBytes);
    this.#content = new ContentWriter(leg, this.#outbox, node.join.kernel, rates?.back);
    const send = async (message: Message) => {
      await this.#send(message);
      this.flush();
    };
    this.#receiver = new Receiver({ leg, open, node, rate: rates?.forward, send });
  }

  get summary(): { files: number; bytes: number; entries: number } {
    return { files: this.#files, bytes: this.#bytes, entries: this.#entries };
  }

  /** The request whose turn it is, or null when the client has ended. Throws as `readHead`. */
  async next(): Promise<DueRequest | null> {
    const { limits, clock } = this.#node;
    const decode = (bytes: Buffer) => decodeRequest(bytes, limits.maxHeaderBytes);
    // What follows a WRITE is no request.
    while (this.#due.length < requestsAhead && this.#due.at(-1)?.request.type !== 'write') {
      const request = readHeadNow(this.#leg, decode);
      if (!request) break;
      this.#due.push(this.#prepare(request));
    }
    const due = this.#due.shift();
    if (due) return due;
    const wait = { clock, ms: limits.idleMs, beforeWait: () => this.#beforeWait(), signal: this.#receiver.failure };
    const request = await readHead(this.#leg, decode, wait);
    return request && this.#prepare(request);
  }

  #beforeWait(): void {
    this.flush();
    this.#node.connections.rest(this.#leg);
  }

  #prepare(request: Request): DueRequest {
    if (request.type !== 'stat') return { request };
    const opening = this.#openFile(request);
    opening.catch(() => {});
    return { request, opening };
  }

  async #openFile({ name }: RequestOf<'stat'>): Promise<VersionedFile> {
    return openServed(servedRoot(this.#node), name, this.#node.limits.maxNameBytes);
  }

  /** Answers one request; a file that cannot be served, or a damaged piece, is a refusal, and the circuit goes on. */
  async answer(due: DueRequest): Promise<void> {
    const { clock } = this.#node;
    if (this.#outbox.isEmpty) this.#gathering = clock.now();
    try {
      await this.#perform(due);
    } catch (cause) {
      const error = asHoplineError(cause);
      if (!error.code.startsWith('FILE_') && error.code !== 'HASH_MISMATCH') {
        // What was answered before still goes out, ahead of the refusal that ends the circuit.
        await this.drain().catch(() => {});
        throw error;
      }
      this.#report(error, due.request);
      await this.#send(refusal(error, this.#open.hop));
    }
    if (clock.now() - this.#gathering > gatherMs) this.flush();
  }

  async #perform({ request, opening }: DueRequest): Promise<void> {
    if (request.type === 'write') {
      // The answer to the piece before is sent behind this one's back.
      this.flush();
      return this.#receiver.write(request);
    }
    await this.#receiver.settle();
    if (request.type !== 'ping') this.isUsed = true;
    switch (request.type) {
      case 'ping':
        return this.#send(describeNode(this.#node));
      case 'stat':
        return this.#answerStat(request, opening);
      case 'read':
        return this.#answerRead(request);
      case 'digest':
        return this.#answerDigest(request);
      case 'list':
        return this.#answerList(request);
      case 'put':
        return this.#receiver.put(request);
      default:
        return this.#receiver.commit();
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
    this.#closeFile();
    for (const { opening } of this.#due) this.#closeLater(opening);
    await Promise.all(this.#closing);
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    this.#node.digestCache.done(file.digests);
    this.#closeLater(Promise.resolve(file.served));
  }

  /** No answer waits for a file to be closed. */
  #closeLater(opening: Promise<VersionedFile> | undefined): void {
    const closing = Promise.resolve(opening)
      .then((served) => served?.close())
      .catch(() => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #send(message: Message): Promise<void> {
    return this.#outbox.append(encodeMessage(message));
  }

  #report(error: HoplineError, request: Request): void {
    if (request.type === 'read' && this.#refused) return;
    if (request.type === 'stat') this.#refused = true;
    // How a client learns that it should ask for a listing: nothing has failed.
    if (error.code === 'FILE_IS_DIRECTORY') return;
    this.#node.metrics.countFailure(error.code);
    const { peer } = this.#leg;
    const { hop, trace } = this.#open;
    this.#node.log.warn({ peer, hop, trace, code: error.code, reason: error.reason }, error.message);
  }

  async #answerStat(request: RequestOf<'stat'>, opening = this.#openFile(request)): Promise<void> {
    const { limits, digestCache } = this.#node;
    this.#closeFile();
    const digest = chooseDigest(this.#node.digests, request.digests);
    if (!digest) {
      this.#closeLater(opening);
      throw new HoplineError('PEER_PROTOCOL', 'the client checks none of the digests that this node has');
    }
    const served = await opening;
    const { size, version, mtimeNs } = served;
    const { pieceBytes } = limits;
    const key = { version, algorithm: digest.name, pieceBytes, pieces: Math.ceil(size / pieceBytes) };
    this.#file = { served, digest, digests: await digestCache.open(key), nextPiece: 0 };
    this.#refused = false;
    this.#files += 1;
    await this.#send({ type: 'status', size, version, pieceBytes, digest: digest.name, mtimeNs: String(mtimeNs) });
  }

  /** The open file, and how much of the range that a request names it has. Throws `PEER_PROTOCOL`, `FILE_NOT_FOUND`, `FILE_CHANGED`. */
  #range({ offset, length, version }: RequestOf<'read'> | RequestOf<'digest'>): { file: OpenFile; length: number } {
    const { maxReadBytes } = this.#node.limits;
    if (length > maxReadBytes)
      throw new HoplineError('PEER_PROTOCOL', `a READ asks for more than ${maxReadBytes} bytes`);
    const file = this.#file;
    if (!file) throw new HoplineError('FILE_NOT_FOUND', 'no file is open on this circuit');
    if (version !== undefined && version !== file.served.version) throw changed();
    return { file, length: Math.max(0, Math.min(file.served.size - offset, length)) };
  }

  async #answerDigest(request: RequestOf<'digest'>): Promise<void> {
    const { offset } = request;
    const { file, length } = this.#range(request);
    const { served, digests } = file;
    const piece = this.#pieceAt(offset, length, file);
    const known = piece === undefined ? undefined : digests.get(piece);
    if (known !== undefined) {
      served.check();
      return this.#send({ type: 'end', digest: known });
    }
    const { isSettled } = served;
    const hasher = file.digest.start();
    const block = Buffer.allocUnsafeSlow(Math.min(length, this.#node.limits.maxBlockBytes));
    for (let done = 0; done < length; done += block.length) {
      const part = block.subarray(0, Math.min(block.length, length - done));
      await served.readFully(part, offset + done);
      hasher.update(part);
    }
    served.check();
    const digest = hasher.digest();
    if (piece !== undefined && isSettled) digests.set(piece, digest);
    await this.#send({ type: 'end', digest });
  }

  /** Each frame once there is room for it, so that a client that is gone ends the walk. */
  async #answerList({ name }: RequestOf<'list'>): Promise<void> {
    const { limits, log } = this.#node;
    const listing = await Listing.open(servedRoot(this.#node), name, limits, this.#node.names);
    void this.#leg.closed.then(() => listing.abandon());
    try {
      for (let last = false; !last; ) {
        const frame = await listing.nextFrame();
        await listing.pauseFor(this.#send(frame));
        this.flush();
        last = frame.last;
      }
    } finally {
      listing.close();
    }
    const { hop, trace } = this.#open;
    const fields = { peer: this.#leg.peer, hop, trace, name, ...listing.summary };
    if (fields.names + fields.unreadable > 0) log.warn(fields, 'entries are missing from a listing');
    this.#entries += fields.entries;
  }

  async #answerRead(request: RequestOf<'read'>): Promise<void> {
    const { offset } = request;
    const { file, length: sent } = this.#range(request);
    const { served, digests } = file;
    const piece = this.#pieceAt(offset, sent, file);
    // A piece that is asked for again did not match: the digest is taken anew, should it be the wrong one.
    const digest = piece !== undefined && piece >= file.nextPiece ? digests.get(piece) : undefined;
    if (piece !== undefined) file.nextPiece = Math.max(file.nextPiece, piece + 1);
    const head = encodeMessage({ type: 'data', offset, length: sent });
    if (digest === undefined) await this.#sendHashed(head, offset, sent, piece, file);
    else {
      await this.#outbox.append(head);
      await this.#content.send(served, { offset, length: sent });
      await this.#send({ type: 'end', digest });
    }
    this.#bytes += sent;
    this.#node.metrics.bytesServed += sent;
  }

  /** The number of the piece that `length` bytes at `offset` are, or undefined if they are not exactly one. */
  #pieceAt(offset: number, length: number, { served, digests }: OpenFile): number | undefined {
    const { pieceBytes } = digests.key;
    const due = Math.min(pieceBytes, served.size - offset);
    return offset % pieceBytes === 0 && length > 0 && length === due ? offset / pieceBytes : undefined;
  }

  /** Sends and hashes, and remembers the digest if the bytes are for certain those of the version. */
  async #sendHashed(
    head: Buffer,
    offset: number,
    length: number,
    piece: number | undefined,
    file: OpenFile,
  ): Promise<void> {
    const { served, digests } = file;
    const { isSettled } = served;
    const hasher = file.digest.start();
    await this.#outbox.append(head);
    await this.#content.sendSeen(served, { offset, length }, (block) => hasher.update(block));
    const digest = hasher.digest();
    if (piece !== undefined && isSettled) digests.set(piece, digest);
    await this.#send({ type: 'end', digest });
  }
}

/** What a node says of itself when it is asked whether it is there. */
function describeNode({ root, server, connections, limits }: NodeContext): Message {
  const roles = ['relay', ...(root === undefined ? [] : ['origin']), ...(server ? ['server'] : [])];
  return { type: 'pong', software, roles, load: { open: connections.held, max: limits.maxConnections } };
}
