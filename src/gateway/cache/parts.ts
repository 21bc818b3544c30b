/**
 * Parts of answers, as ranges and broken downloads leave them, until together they are the whole, which is then stored.
 *
 * Owns the files that they are gathered in, which are lost with the process. Parts come together only if they are of one
 * key, selection, length and strong validator (RFC 9111, 3.4). The caller judges first whether
 * the whole may be stored.
 * Invariant: nothing is stored that has a gap, and nothing after its key was invalidated.
 * Rules: docs/http/cache.md
 */

import { Readable } from 'node:stream';
import type { Limits } from '../../core/limits.ts';
import { BoundedMap } from '../../core/work/bounded-map.ts';
import { Tasks } from '../../core/work/tasks.ts';
import { selectionKey } from '../../http/caching/vary.ts';
import type { RawFields } from '../../http/exchange.ts';
import { fieldValue, without } from '../../http/fields.ts';
import { strongValidator } from '../../http/representation/conditions.ts';
import type { EntryWriter } from './disk/entry-file.ts';
import type { EntryHead } from './disk/entry-record.ts';
import type { CacheStore } from './disk/store.ts';

/** What one answer has of a representation, in bytes. */
export interface Part {
  readonly offset: number;
  readonly length: number;
  /** Of the whole. */
  readonly total: number;
}

interface Gathering {
  readonly id: string;
  readonly key: string;
  readonly total: number;
  readonly writer: Promise<EntryWriter>;
  /** As the whole has it. */
  head: EntryHead;
  /** What is here, in order, without overlaps. */
  here: { offset: number; end: number }[];
  /** How many write to it. */
  users: number;
  /** Whether its file is not to be written to any more. */
  isOver: boolean;
  isOutdated: boolean;
}

const copyBytes = 1024 * 1024;

export class Parts {
  readonly #store: CacheStore;
  readonly #onUnstored: (error: unknown) => void;
  /** By `id`, each with the bytes of it that are here. */
  readonly #gatherings: BoundedMap<string, Gathering>;
  readonly #work = new Tasks();

  constructor(store: CacheStore, limits: Limits, onUnstored: (error: unknown) => void) {
    this.#store = store;
    this.#onUnstored = onUnstored;
    this.#gatherings = new BoundedMap({ maxCount: limits.maxCacheGathered, maxWeight: limits.maxCacheEntryBytes });
  }

  /** Keeps a part on its way to whoever gets the stream that is returned. `head` is the whole's; its validator must be strong. */
  pass(head: EntryHead, { offset, length, total }: Part, source: Readable): Readable {
    const gathering = this.#use(head, total);
    const keep = (at: number, chunk: Buffer) => this.#keep(gathering, at, chunk);
    async function* kept(): AsyncGenerator<Buffer> {
      let at = offset;
      for await (const chunk of source as AsyncIterable<Buffer>) {
        if (at + chunk.length <= offset + length) await keep(at, chunk);
        at += chunk.length;
        yield chunk;
      }
    }
    const stream = Readable.from(kept(), { objectMode: false });
    stream.once('close', () => {
      source.destroy();
      this.#do(() => this.#leave(gathering));
    });
    return stream;
  }

  /** Takes the beginning of a whole that broke off, writer and all. */
  adopt(head: EntryHead, total: number, beginning: EntryWriter): void {
    const gathering = this.#use(head, total);
    this.#do(async () => {
      for (let at = 0; at < beginning.written && !gathering.isOver; at += copyBytes) {
        await this.#keep(gathering, at, await beginning.read(at, copyBytes));
      }
      await beginning.discard();
      await beginning.close();
      await this.#leave(gathering);
    });
  }

  /** Gives up what was gathered for the keys that are meant. */
  outdate(isMeant: (key: string) => boolean): void {
    for (const gathering of this.#gatherings.values()) if (isMeant(gathering.key)) this.#drop(gathering);
  }

  /** Waits for what is being written, and gives up the rest. */
  async close(): Promise<void> {
    await this.#work.over();
    this.outdate(() => true);
    await this.#work.over();
  }

  #use(head: EntryHead, total: number): Gathering {
    const id = [head.key, selectionKey(head.selection), strongValidator(head.fields), total].join('\n');
    const gathering = this.#gatherings.get(id) ?? this.#create(id, head, total);
    gathering.users += 1;
    gathering.head = head;
    this.#count(gathering);
    return gathering;
  }

  #create(id: string, head: EntryHead, total: number): Gathering {
    const writer = this.#store.create();
    // Whoever writes to it finds that there is none.
    writer.catch(() => {});
    return { id, key: head.key, total, writer, head, here: [], users: 0, isOver: false, isOutdated: false };
  }

  /** A disk that takes no more leaves a gap, so nothing is stored. */
  async #keep(gathering: Gathering, offset: number, bytes: Buffer): Promise<void> {
    if (gathering.isOver || bytes.length === 0) return;
    try {
      await (await gathering.writer).writeAt(offset, bytes);
    } catch (error) {
      if (!gathering.isOver) this.#onUnstored(error);
      this.#drop(gathering);
      return;
    }
    gathering.here = merged(gathering.here, { offset, end: offset + bytes.length });
    if (!gathering.isOver) this.#count(gathering);
  }

  /** Counts what is here of a gathering that is in use, for which others may have to go. */
  #count(gathering: Gathering): void {
    const bytes = gathering.here.reduce((sum, { offset, end }) => sum + end - offset, 0);
    for (const oldest of this.#gatherings.set(gathering.id, gathering, bytes)) this.#drop(oldest);
  }

  async #leave(gathering: Gathering): Promise<void> {
    gathering.users -= 1;
    if (gathering.users > 0) return;
    const [first] = gathering.here;
    const isWhole = first?.offset === 0 && first.end === gathering.total;
    if (gathering.isOver || !isWhole) return gathering.isOver ? this.#discard(gathering) : undefined;
    gathering.isOver = true;
    const writer = await gathering.writer;
    try {
      await writer.measure(gathering.total);
      await this.#store.publish(writer, gathering.head, () => !gathering.isOutdated);
    } catch (error) {
      this.#onUnstored(error);
      await writer.discard();
    }
    this.#forget(gathering);
    await writer.close();
  }

  #drop(gathering: Gathering): void {
    this.#forget(gathering);
    gathering.isOutdated = true;
    // Whoever stores it, or still writes to it, sees to its file.
    if (gathering.isOver) return;
    gathering.isOver = true;
    if (gathering.users === 0) this.#do(() => this.#discard(gathering));
  }

  #forget(gathering: Gathering): void {
    if (this.#gatherings.get(gathering.id) === gathering) this.#gatherings.delete(gathering.id);
  }

  async #discard({ writer }: Gathering): Promise<void> {
    const known = await writer.catch(() => undefined);
    await known?.discard();
    await known?.close();
  }

  #do(work: () => Promise<void>): void {
    this.#work.add(work(), this.#onUnstored);
  }
}

/** What an answer 206 has, if that is one part of a known length whose validator is strong. */
export function partOf(status: number, fields: RawFields): Part | undefined {
  if (status !== 206 || strongValidator(fields) === undefined) return undefined;
  const [, first, last, size] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(fieldValue(fields, 'content-range') ?? '') ?? [];
  if (first === undefined) return undefined;
  const [offset, end, total] = [Number(first), Number(last) + 1, Number(size)];
  return offset < end && end <= total ? { offset, length: end - offset, total } : undefined;
}

/** The fields of the whole that a part is of. */
export function wholeFields(fields: RawFields, total: number): RawFields {
  return [...without(fields, 'content-range', 'content-length'), 'Content-Length', String(total)];
}

function merged(here: Gathering['here'], added: Gathering['here'][number]): Gathering['here'] {
  let { offset, end } = added;
  const apart = here.filter((one) => {
    if (one.offset > end || one.end < offset) return true;
    offset = Math.min(offset, one.offset);
    end = Math.max(end, one.end);
    return false;
  });
  return [...apart, { offset, end }].sort((one, other) => one.offset - other.offset);
}
