/**
 * The requests of one circuit in their order, some of them looked at before their turn: their files are open by then.
 *
 * Invariant: a file that was opened for a request whose turn never came is closed by `close`.
 */

import { asHoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import type { Tasks } from '../../core/work/tasks.ts';
import { openServed } from '../../io/disk/reading/served-file.ts';
import type { VersionedFile } from '../../io/disk/reading/versioned-file.ts';
import { readHead, readHeadNow } from '../../io/legs/head.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { decodeRequest, type Request, type RequestOf } from '../../wire/native/messages.ts';
import { holdReadable } from '../authority/below-rights.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { servedRoot } from '../root.ts';
import { checkSeen } from './list-answer.ts';

/** Requests that are looked at before their turn. */
const requestsAhead = 8;

export type DueRequest =
  | { readonly request: RequestOf<'stat'>; readonly opening: Promise<VersionedFile> }
  | { readonly request: Exclude<Request, RequestOf<'stat'>>; readonly opening?: undefined };

export interface DueOptions {
  readonly beforeWait: () => void;
  /** Its reason is thrown in place of the next request. */
  readonly signal: Signal;
}

export class DueRequests {
  readonly #leg: LegLike;
  readonly #node: NodeContext;
  readonly #grant: Grant;
  readonly #options: DueOptions;
  readonly #due: DueRequest[] = [];

  constructor(leg: LegLike, node: NodeContext, grant: Grant, options: DueOptions) {
    this.#leg = leg;
    this.#node = node;
    this.#grant = grant;
    this.#options = options;
  }

  /** The request whose turn it is, or null when the client has ended. Throws as `readHead`. */
  async next(): Promise<DueRequest | null> {
    const { limits, clock } = this.#node;
    const decode = (bytes: Buffer) => decodeRequest(bytes, limits.maxHeaderBytes);
    while (this.#due.length < requestsAhead && !bringsBytes(this.#due.at(-1)?.request)) {
      const request = readHeadNow(this.#leg, decode);
      if (!request) break;
      this.#due.push(this.#prepare(request));
    }
    const due = this.#due.shift();
    if (due) return due;
    const request = await readHead(this.#leg, decode, { clock, ms: limits.idleMs, ...this.#options });
    return request && this.#prepare(request);
  }

  close(closing: Tasks): void {
    for (const { opening } of this.#due) if (opening) closing.add(opening.then((served) => served.close()));
  }

  #prepare(request: Request): DueRequest {
    if (request.type !== 'stat') return { request };
    const opening = this.#open(request);
    opening.catch(() => {});
    return { request, opening };
  }

  async #open({ name }: RequestOf<'stat'>): Promise<VersionedFile> {
    this.#grant.checkRead(name);
    const root = servedRoot(this.#node);
    const { limits } = this.#node;
    try {
      return await openServed(root, name, limits.maxNameBytes, holdReadable(this.#grant, root, name, this.#node.hold));
    } catch (error) {
      const isDirectory = asHoplineError(error).code === 'FILE_IS_DIRECTORY';
      if (isDirectory) await checkSeen(name, { leg: this.#leg, node: this.#node, grant: this.#grant });
      throw error;
    }
  }
}

/** Whether what follows is no request. */
function bringsBytes(request: Request | undefined): boolean {
  return request?.type === 'write' || (request?.type === 'probe' && request.up > 0);
}
