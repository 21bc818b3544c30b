/**
 * What comes from the origin for the store: whole and small, or a content to be followed while it arrives.
 *
 * Owns what is under way between an answer's arrival and its place in the store.
 * Invariant: what was fetched before its key was invalidated is not stored after it.
 */

import { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { HoplineError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import type { Logger } from '../../../core/log.ts';
import { systemCode } from '../../../core/system-errors.ts';
import { Tasks } from '../../../core/work/tasks.ts';
import { Turns } from '../../../core/work/turns.ts';
import type { HttpAnswer } from '../../../http/exchange.ts';
import { fieldValue } from '../../../http/fields.ts';
import { strongValidator } from '../../../http/representation/conditions.ts';
import type { EntryHead } from '../disk/entry-record.ts';
import type { CacheStore } from '../disk/store.ts';
import { type Part, Parts } from '../parts.ts';
import { Filling } from './arriving-content.ts';
import type { Arriving } from './build-answer.ts';

/** Parts of answers that are written or read at once, of the four threads that the process has for files. */
const turnsAtOnce = 2;

export interface AnswerStorerOptions {
  readonly store: CacheStore;
  readonly limits: Limits;
  readonly log: Logger;
}

/** One request to the origin, until its answer is stored or will not be. */
export interface Ticket {
  readonly key: string;
  isOutdated: boolean;
  isHeld: boolean;
}

export class AnswerStorer {
  readonly #options: AnswerStorerOptions;
  readonly #tickets = new Set<Ticket>();
  /** All that arrives at full speed at once would leave no time for anything else. */
  readonly #turns = new Turns(turnsAtOnce);
  readonly #fillings = new Tasks();
  readonly #parts: Parts;
  #isFull = false;

  constructor(options: AnswerStorerOptions) {
    this.#options = options;
    this.#parts = new Parts(options.store, options.limits, (error) => this.#reportUnstored(error));
  }

  open(key: string): Ticket {
    const ticket = { key, isOutdated: false, isHeld: false };
    this.#tickets.add(ticket);
    return ticket;
  }

  /** Says that nothing more is taken with a ticket; what is arriving with it still may be stored. */
  release(ticket: Ticket): void {
    if (!ticket.isHeld) this.#tickets.delete(ticket);
  }

  /** Stores no answer under these keys that has been asked for already. */
  outdate(isMeant: (key: string) => boolean): void {
    for (const ticket of this.#tickets) if (isMeant(ticket.key)) ticket.isOutdated = true;
    this.#parts.outdate(isMeant);
  }

  /** Takes an answer's content, which must not be a file; what is returned is all there is of it from then on. */
  take(head: EntryHead, answer: HttpAnswer, ticket: Ticket): Buffer | Arriving {
    const small = this.#options.store.isQuick ? this.#readSmall(answer) : undefined;
    if (!small) return this.#follow(head, answer, ticket);
    try {
      this.#put(head, small, ticket);
    } catch (error) {
      this.#reportUnstored(error);
    }
    return small;
  }

  /** Keeps a part of what `head` is about on its way to whoever gets the answer that is returned. */
  takePart(head: EntryHead, part: Part, answer: HttpAnswer, ticket: Ticket): HttpAnswer {
    if (ticket.isOutdated || !(answer.body instanceof Readable)) return answer;
    return { ...answer, body: this.#parts.pass(head, part, answer.body) };
  }

  /** Waits for what is being stored. */
  async settle(): Promise<void> {
    await this.#fillings.over();
    await this.#parts.close();
  }

  /** A small content that is all here, as most are when their head is. */
  #readSmall({ body, trailers }: HttpAnswer): Buffer | undefined {
    const { maxCacheSmallBytes } = this.#options.limits;
    if (body === undefined) return Buffer.alloc(0);
    if (Buffer.isBuffer(body)) return body.length <= maxCacheSmallBytes ? body : undefined;
    if (!(body instanceof IncomingMessage) || !body.complete || body.destroyed) return undefined;
    if (body.readableLength > maxCacheSmallBytes || trailers?.().length) return undefined;
    const content = body.read() as Buffer | null;
    body.resume();
    // What it was read into is larger.
    return Buffer.from(content ?? '');
  }

  #follow(head: EntryHead, answer: HttpAnswer, ticket: Ticket): Arriving {
    const { store, limits } = this.#options;
    const bytes = contentBytes(answer);
    const filling = new Filling({
      source: streamOf(answer),
      length: bytes,
      smallBytes: limits.maxCacheSmallBytes,
      maxBytes: limits.maxCacheEntryBytes,
      maxAbandonedBytes: limits.maxCacheAbandonedBytes,
      turns: this.#turns,
      create: () => store.create(),
      publish: async (writer) => {
        if (ticket.isOutdated) return writer.discard();
        await store.publish(writer, measured(head, writer.written), () => !ticket.isOutdated);
        this.#isFull = false;
      },
      keep: (writer) => {
        if (ticket.isOutdated || bytes === undefined || strongValidator(head.fields) === undefined) return false;
        if (head.status !== 200) return false;
        this.#parts.adopt(head, bytes, writer);
        return true;
      },
      put: (content) => (store.isQuick ? this.#put(head, content, ticket) : this.#putAside(head, content, ticket)),
      onUnstored: (error) => this.#reportUnstored(error),
    });
    ticket.isHeld = true;
    this.#fillings.add(filling.settled.then(() => this.#tickets.delete(ticket)));
    const trailers = answer.trailers?.bind(answer);
    return { filling, bytes, ...(trailers ? { trailers } : {}) };
  }

  #put(head: EntryHead, content: Buffer, ticket: Ticket): void {
    if (ticket.isOutdated) return;
    this.#options.store.put(measured(head, content.length), content);
    this.#isFull = false;
  }

  /** By other threads. */
  async #putAside(head: EntryHead, content: Buffer, ticket: Ticket): Promise<void> {
    if (ticket.isOutdated) return;
    const { store } = this.#options;
    const writer = await store.create();
    try {
      await writer.write(content);
      await store.publish(writer, measured(head, content.length), () => !ticket.isOutdated, content);
      this.#isFull = false;
    } catch (error) {
      await writer.discard();
      throw error;
    } finally {
      await writer.close();
    }
  }

  /** Once, until something could be stored again. */
  #reportUnstored(error: unknown): undefined {
    const reason = error instanceof HoplineError ? error.code : systemCode(error);
    if (!this.#isFull) this.#options.log.warn({ reason }, 'answers are passed on without being stored');
    this.#isFull = true;
  }
}

/** Of content that is no file. */
function streamOf({ body }: HttpAnswer): Readable {
  return body instanceof Readable ? body : Readable.from(Buffer.isBuffer(body) ? [body] : []);
}

/** Of an answer's content, where that is known. */
export function contentBytes({ body, fields }: HttpAnswer): number | undefined {
  if (Buffer.isBuffer(body)) return body.length;
  if (!body) return 0;
  const text = fieldValue(fields, 'content-length');
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** With the length that the origin may not have known. */
function measured(head: EntryHead, bytes: number): EntryHead {
  if (head.status === 204 || fieldValue(head.fields, 'content-length') !== undefined) return head;
  return { ...head, fields: [...head.fields, 'Content-Length', String(bytes)] };
}
