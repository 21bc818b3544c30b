/**
 * A node as the origin: answers STAT, READ and PING, one answer a request and in their order.
 *
 * Reads a block from disk while the one before it is on its way, and no further
 * ahead: a slow client stops the reads.
 * Invariant: memory per circuit is two blocks, whatever the file's size.
 * Specification: docs/protocol.md#requests
 */

import { asHoplineError, HoplineError } from '../core/errors.ts';
import { software } from '../core/software.ts';
import { chooseDigest, type DigestAlgorithm } from '../io/digest.ts';
import { readHead } from '../io/head.ts';
import type { Leg } from '../io/leg.ts';
import { decodeRequest, encodeMessage, type Open, type Request, refusal } from '../wire/messages.ts';
import type { NodeContext } from './context.ts';
import { changed, ServedFile } from './served-file.ts';

type StatRequest = Extract<Request, { type: 'stat' }>;
type ReadRequest = Extract<Request, { type: 'read' }>;

/** Serves one circuit until the client ends it. Throws when the client breaks the protocol or its leg. */
export async function serveOrigin(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  const circuit = new OriginCircuit(leg, open, node);
  node.metrics.served += 1;
  try {
    const decode = (bytes: Buffer) => decodeRequest(bytes, node.limits.maxHeaderBytes);
    for (;;) {
      const request = await readHead(leg, decode, { clock: node.clock, ms: node.limits.idleMs });
      if (request === null) break;
      await circuit.answer(request);
    }
    await circuit.flush();
    await leg.linger(node.limits.lingerMs);
    await leg.closed;
    node.log.info({ peer: leg.peer, hop: open.hop, trace: open.trace, ...circuit.summary }, 'circuit served');
  } finally {
    await circuit.close();
  }
}

class OriginCircuit {
  readonly #leg: Leg;
  readonly #open: Open;
  readonly #node: NodeContext;
  readonly #blocks: BlockWriter;
  #file: { readonly served: ServedFile; readonly digest: DigestAlgorithm } | undefined;
  #files = 0;
  #bytes = 0;

  constructor(leg: Leg, open: Open, node: NodeContext) {
    this.#leg = leg;
    this.#open = open;
    this.#node = node;
    this.#blocks = new BlockWriter(leg, node.limits.maxBlockBytes);
  }

  get summary(): { files: number; bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  /** Answers one request; a file that cannot be served is a refusal, and the circuit goes on. */
  async answer(request: Request): Promise<void> {
    try {
      if (request.type === 'ping') this.#leg.post(encodeMessage({ type: 'pong', software }));
      else if (request.type === 'stat') await this.#answerStat(request);
      else await this.#answerRead(request);
    } catch (cause) {
      const error = asHoplineError(cause);
      if (!error.code.startsWith('FILE_')) throw error;
      this.#node.metrics.countFailure(error.code);
      const { peer } = this.#leg;
      const { hop, trace } = this.#open;
      this.#node.log.warn({ peer, hop, trace, code: error.code, reason: error.reason }, error.message);
      this.#leg.post(encodeMessage(refusal(error, hop)));
    }
  }

  flush(): Promise<void> {
    return this.#blocks.flush();
  }

  async close(): Promise<void> {
    await this.#file?.served.close();
    this.#file = undefined;
  }

  async #answerStat({ name, digests }: StatRequest): Promise<void> {
    const { root, limits } = this.#node;
    const digest = chooseDigest(this.#node.digests, digests);
    if (!digest) throw new HoplineError('PEER_PROTOCOL', 'the client checks none of the digests that this node has');
    await this.close();
    const served = await ServedFile.open(root, name, limits.maxNameBytes);
    this.#file = { served, digest };
    this.#files += 1;
    const { size, version } = served;
    this.#leg.post(
      encodeMessage({ type: 'status', size, version, pieceBytes: limits.pieceBytes, digest: digest.name }),
    );
  }

  async #answerRead({ offset, length, version }: ReadRequest): Promise<void> {
    if (length > this.#node.limits.maxReadBytes) {
      throw new HoplineError('PEER_PROTOCOL', `a READ asks for more than ${this.#node.limits.maxReadBytes} bytes`);
    }
    if (!this.#file) throw new HoplineError('FILE_NOT_FOUND', 'no file is open on this circuit');
    const { served, digest } = this.#file;
    if (version !== undefined && version !== served.version) throw changed();
    const end = Math.min(served.size, offset + length);
    const sent = Math.max(0, end - offset);
    this.#leg.post(encodeMessage({ type: 'data', offset, length: sent }));
    const hasher = digest.start();
    let failure: HoplineError | undefined;
    for (let position = offset; position < end; ) {
      const block = await this.#blocks.next(Math.min(end - position, this.#blocks.size));
      // A promised length is always sent; after a failure it is zeros, and REFUSED instead of END says so.
      if (failure) block.fill(0);
      else failure = await served.readFully(block, position).then(() => undefined, asHoplineError);
      if (failure) block.fill(0);
      hasher.update(block);
      this.#blocks.send(block);
      position += block.length;
    }
    this.#bytes += sent;
    this.#node.metrics.bytesServed += sent;
    if (failure) throw failure;
    await served.check();
    this.#leg.post(encodeMessage({ type: 'end', digest: hasher.digest() }));
  }
}

/** Two blocks in turn: one is filled while the other is written. */
class BlockWriter {
  readonly size: number;
  readonly #leg: Leg;
  readonly #blocks: Buffer[] = [];
  readonly #writes: Promise<void>[] = [];
  #turn = 0;

  constructor(leg: Leg, size: number) {
    this.#leg = leg;
    this.size = size;
  }

  /** A block of `length` bytes to fill, once its last write is done. */
  async next(length: number): Promise<Buffer> {
    this.#turn = 1 - this.#turn;
    await this.#writes[this.#turn];
    this.#blocks[this.#turn] ??= Buffer.allocUnsafeSlow(this.size);
    return (this.#blocks[this.#turn] as Buffer).subarray(0, length);
  }

  /** Sends the block that `next` gave; a failure is thrown by the `next` or `flush` that waits for it. */
  send(block: Buffer): void {
    const write = this.#leg.write(block);
    write.catch(() => {});
    this.#writes[this.#turn] = write;
  }

  async flush(): Promise<void> {
    await Promise.all(this.#writes);
  }
}
