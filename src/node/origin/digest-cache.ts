/**
 * The digests of pieces, kept per version of a file so that a piece is hashed once and not for every client.
 *
 * Owns the memory that they take, the oldest given up first. A version that is
 * not the one of the key is another entry, so a changed file never meets old
 * digests. With a store they outlive the process. Knows nothing about files being served.
 * Invariant: at most `maxBytes` are held, besides what open circuits still use.
 */

import { BoundedMap } from '../../core/work/bounded-map.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { DigestKey, DigestStore } from './digest-store.ts';

const digestBytes = 32;
/** What an entry takes besides its digests: the objects around them. */
const entryBytes = 512;

/** The digests of one version of one file, 32 bytes a piece; zeros stand for one that is not known yet. */
export class PieceDigests {
  readonly key: DigestKey;
  readonly records: Buffer;
  /** Whether there are digests that the store does not have. */
  changed = false;

  constructor(key: DigestKey, records: Buffer) {
    this.key = key;
    this.records = records;
  }

  /** In hex, or undefined. */
  get(piece: number): string | undefined {
    const record = this.#record(piece);
    return record.equals(unknown.subarray(0, record.length)) ? undefined : record.toString('hex');
  }

  set(piece: number, hex: string): void {
    const record = this.#record(piece);
    if (record.length === 0 || record.equals(Buffer.from(hex, 'hex'))) return;
    record.write(hex, 'hex');
    this.changed = true;
  }

  #record(piece: number): Buffer {
    return this.records.subarray(piece * digestBytes, (piece + 1) * digestBytes);
  }
}

const unknown = Buffer.alloc(digestBytes);

export class DigestCache {
  readonly #maxBytes: number;
  readonly #store: DigestStore | undefined;
  readonly #entries: BoundedMap<string, Promise<PieceDigests>>;
  readonly #saving = new Tasks();

  constructor(maxBytes: number, store?: DigestStore) {
    this.#maxBytes = maxBytes;
    this.#store = store;
    this.#entries = new BoundedMap({ maxWeight: maxBytes });
  }

  /** The digests known of a file, to be added to. A file too large for the cache gets some that forget. Never throws. */
  async open(key: DigestKey): Promise<PieceDigests> {
    const bytes = entryBytes + key.pieces * digestBytes;
    if (bytes > this.#maxBytes) return new PieceDigests(key, Buffer.alloc(0));
    const name = nameOf(key);
    const digests = this.#entries.get(name) ?? this.#load(key);
    this.#entries.set(name, digests, bytes);
    return digests;
  }

  /** That of a file of one piece, in hex, if it is in memory. */
  async known(key: Omit<DigestKey, 'pieces'>): Promise<string | undefined> {
    const name = nameOf(key);
    this.#entries.use(name);
    return (await this.#entries.get(name))?.get(0);
  }

  /** Called when a file's digests are no longer used: what is new goes to the store, behind the caller's back. */
  done(digests: PieceDigests): void {
    if (!this.#store || !digests.changed || !isWorthStoring(digests.key)) return;
    digests.changed = false;
    this.#saving.add(this.#store.save(digests.key, digests.records));
  }

  /** Settles once everything has been stored. */
  async close(): Promise<void> {
    await this.#saving.over();
  }

  async #load(key: DigestKey): Promise<PieceDigests> {
    const stored = isWorthStoring(key) ? await this.#store?.load(key, key.pieces * digestBytes) : undefined;
    return new PieceDigests(key, stored ?? Buffer.alloc(key.pieces * digestBytes));
  }
}

function nameOf({ version, algorithm, pieceBytes }: Omit<DigestKey, 'pieces'>): string {
  return `${version}.${algorithm}.${pieceBytes}`;
}

/** A file of one piece is hashed faster than its digest is read from disk. */
function isWorthStoring({ pieces }: DigestKey): boolean {
  return pieces > 1;
}
