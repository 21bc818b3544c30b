/**
 * The books of an unfinished file: which pieces are in it, what digest each has, and whose word that is.
 *
 * Append-only; each record has a checksum, and reading stops at the first that
 * is not right. Knows nothing about the content: trusted-pieces.ts compares what
 * the records say with what is there.
 * Invariant: a record follows what it speaks of. A record that could not be written ends the book-keeping, not the transfer.
 * Format: docs/resume.md#journal
 */

import { lstatSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { systemClock } from '../../../core/clock.ts';
import { isShortage, systemCode, systemError } from '../../../core/system-errors.ts';
import type { DurableCalls } from '../durable.ts';
import { isOwn, ownFileFlags } from '../own-file.ts';
import type { TargetContent, Vouched, Voucher } from './target.ts';

/** Above this a journal is none of ours: that of a file of 1 TiB is a third of it. */
const maxJournalBytes = 256n * 1024n * 1024n;
/** Milliseconds that a record waits for others at most, and what it costs to be killed: on a fast circuit, one write for each would cost as much as the piece's own. */
const gatherMs = 50;
const format = 'hopline 1';
/** In the place of a key; what has none, as in journals that know no keys, is plain too. */
const plainKey = '-';

/** What an earlier run wrote down. */
export interface Books {
  readonly header: string;
  /** The process that wrote, 0 if it did not say. */
  readonly owner: number;
  readonly pieces: readonly BookedPiece[];
}

interface BookedPiece extends Vouched {
  readonly index: number;
}

/** The header line for `content`: equal for equal content. */
export function journalHeader({ file, size, pieceBytes, algorithm }: TargetContent): string {
  return `${format} ${JSON.stringify({ file, size, pieceBytes, algorithm })}`;
}

/** What a header line speaks of; undefined for one that is none of ours. */
export function contentOf({ header }: Books): TargetContent | undefined {
  if (!header.startsWith(`${format} {`)) return undefined;
  try {
    const content = JSON.parse(header.slice(format.length + 1)) as TargetContent;
    return journalHeader(content) === header ? content : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads the journal at `path`; undefined if there is none. One that is none of this user's lists nothing. Throws `DISK_FAILED` where
 * the machine cannot read it now, as what it lists would be lost.
 */
export async function readBooks(path: string): Promise<Books | undefined> {
  const text = await readJournal(path);
  if (text === undefined) return undefined;
  const records = soundRecords(text);
  const { value: header = '' } = records.next();
  const reader = new RecordReader();
  if (header.startsWith(format)) for (const record of records) if (!reader.take(record)) break;
  return { header, owner: reader.owner, pieces: reader.pieces };
}

/** Whether there may be a journal: only a system that says there is none has none. */
export function mayExist(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

async function readJournal(path: string): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, ownFileFlags);
    const opened = await handle.stat({ bigint: true });
    return isOwn(opened) && opened.nlink <= 1n && opened.size <= maxJournalBytes ? await handle.readFile('utf8') : '';
  } catch (error) {
    if (isShortage(error)) throw systemError('DISK_FAILED', `cannot read ${path}`, error);
    return systemCode(error) === 'ENOENT' ? undefined : '';
  } finally {
    await handle?.close();
  }
}

export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #vouchers = new Map<string, number>();
  #pieces = 0;
  #waiting = '';
  #cancelWrite: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #failure: unknown;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Puts a new journal in the place of any earlier, with the pieces that count already. Throws what the system says. */
  static async create(path: string, content: TargetContent, left: ReadonlyMap<number, Vouched>): Promise<Journal> {
    const beside = `${path}.new`;
    await unlink(beside).catch(() => {});
    const journal = new Journal(path, await open(beside, 'ax', 0o600));
    journal.#append(journalHeader(content));
    journal.#append(`owner ${process.pid}`);
    for (const [index, vouched] of left) journal.addPiece(index, vouched);
    try {
      await journal.#flush();
      if (journal.#failure !== undefined) throw journal.#failure;
      await rename(beside, path);
    } catch (error) {
      await journal.close();
      await unlink(beside).catch(() => {});
      throw error;
    }
    return journal;
  }

  /** How many pieces it lists. */
  get count(): number {
    return this.#pieces;
  }

  /** The bytes of this piece are with the system. */
  addPiece(index: number, { digest, version, key = plainKey }: Vouched): void {
    const voucher = `${key} ${version}`;
    let number = this.#vouchers.get(voucher);
    if (number === undefined) {
      number = this.#vouchers.size;
      this.#vouchers.set(voucher, number);
      this.#append(`version ${number} ${Buffer.from(version).toString('base64url')} ${key}`);
    }
    this.#append(`piece ${index} ${digest} ${number}`);
    this.#pieces += 1;
  }

  /** Makes what has been added last. Throws what the system says. */
  async sync({ datasync }: Pick<DurableCalls, 'datasync'>): Promise<void> {
    await this.#flush();
    if (this.#failure === undefined) await datasync(this.#handle);
  }

  /** Settles when all records are with the system, or cannot be. Never throws. */
  async close(): Promise<void> {
    await this.#flush();
    await this.#handle.close().catch(() => {});
  }

  async remove(): Promise<void> {
    await this.close();
    await unlink(this.#path).catch(() => {});
  }

  /** Records that come close together leave together. */
  #append(record: string): void {
    if (this.#failure !== undefined) return;
    this.#waiting += sealed(record);
    // What comes while others are written is gathered anew: a piece comes about as fast as a record is written.
    if (!this.#writing) this.#gather();
  }

  #gather(): void {
    this.#cancelWrite ??= systemClock.after(gatherMs, () => void this.#write());
  }

  /** Settles when all records are with the system, or cannot be. Never throws. */
  async #flush(): Promise<void> {
    while (this.#writing || this.#waiting !== '') await this.#write();
  }

  /** Writes what waits, or goes on to. Never throws. */
  #write(): Promise<void> {
    this.#cancelWrite?.();
    this.#cancelWrite = undefined;
    this.#writing ??= this.#writeWaiting();
    return this.#writing;
  }

  async #writeWaiting(): Promise<void> {
    const text = this.#waiting;
    this.#waiting = '';
    try {
      await this.#handle.appendFile(text);
    } catch (error) {
      // What follows a torn record would be dropped anyway.
      this.#failure = error;
      this.#waiting = '';
    } finally {
      this.#writing = undefined;
      if (this.#waiting !== '') this.#gather();
    }
  }
}

function sealed(record: string): string {
  return `${checksum(record)} ${record}\n`;
}

function checksum(record: string): string {
  return crc32(record).toString(16).padStart(8, '0');
}

/** The records up to the first that is torn or changed. */
function* soundRecords(text: string): Generator<string, undefined> {
  for (let start = 0; ; ) {
    const end = text.indexOf('\n', start);
    if (end < 0) return;
    const record = text.slice(start + 9, end);
    if (text[start + 8] !== ' ' || text.slice(start, start + 8) !== checksum(record)) return;
    yield record;
    start = end + 1;
  }
}

class RecordReader {
  readonly pieces: BookedPiece[] = [];
  owner = 0;
  readonly #vouchers = new Map<string, Voucher>();

  /** Takes one record; false for one that is none of this format. */
  take(record: string): boolean {
    const [kind, first = '', second = '', third = ''] = record.split(' ');
    switch (kind) {
      case 'owner':
        this.owner = Number(first);
        return true;
      case 'version':
        this.#vouchers.set(first, {
          version: Buffer.from(second, 'base64url').toString(),
          ...(third === '' || third === plainKey ? {} : { key: third }),
        });
        return true;
      case 'piece': {
        const voucher = this.#vouchers.get(third);
        if (voucher === undefined || !isCount(first)) return false;
        this.pieces.push({ index: Number(first), digest: second, ...voucher });
        return true;
      }
      default:
        return false;
    }
  }
}

function isCount(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}
