/**
 * The uploads that a node takes: whether it does, and who writes which file.
 *
 * Owns the claims. A client whose circuit broke without the node's noticing
 * comes back under the same number and takes its file over; a second writer of
 * any other number has to wait. Knows nothing about pieces, or how many
 * uploads there may be at once.
 * Invariant: one writer a file; a claim ends with the circuit that made it.
 */

import path from 'node:path';
import { type Clock, untilAborted, withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { Budget, type GiveBack, limitNamed } from '../../core/work/budget.ts';
import { freeBytes } from '../../io/disk/reserve.ts';
import { NewFiles } from '../../io/disk/whole/new-files.ts';
import type { Voucher } from '../../io/disk/writing/target.ts';
import { type DiskCalls, loadDiskCalls } from '../../io/kernel/libc.ts';
import { type EndUpload, type UploadSlot, UploadSlots } from './upload-slots.ts';

/** Under what conditions files may be uploaded below the root. */
export interface UploadRules {
  /** Whether a client that asks for it may replace a file. @default false */
  readonly force?: boolean | undefined;
  /** Bytes of one file. @default what the disk holds */
  readonly maxBytes?: number | undefined;
}

/** Whose upload it is. */
export interface Claimant {
  /** Stands for the peer. */
  readonly owner: string;
  /** Ends the circuit that the claim is for. */
  readonly end: EndUpload;
}

/** The right to write one file. */
export interface Claim {
  readonly slot: UploadSlot;
  /** Says that the file is complete; whoever asks again under the same number is told so. */
  finish(outcome: FinishedUpload): void;
  release(): void;
}

export interface FinishedUpload {
  /** Whether there was a file of that name. */
  readonly replaced: boolean;
  /** Bytes of the file. */
  readonly size: number;
  /** Whose word they are. */
  readonly voucher: Voucher;
}

interface Holder {
  readonly upload: string;
  readonly end: EndUpload;
  readonly released: Promise<void>;
}

/** Uploads that are remembered after their end: a client that lost the last answer asks within seconds. */
const maxFinished = 256;

export class Uploads {
  /** Undefined for a node that takes none. */
  readonly rules: UploadRules | undefined;
  /** What the system offers for writing files. */
  readonly calls: DiskCalls;
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #slots: UploadSlots;
  readonly #reserved: Budget;
  readonly #holders: Map<string, Holder>;
  readonly #finished: Map<string, FinishedUpload>;
  /** By the file systems that uploads have come to. */
  readonly #newFiles = new Map<bigint, Promise<NewFiles | undefined>>();

  /** With `earlier`, what that has claimed stays claimed, and the other way round. */
  constructor(rules: UploadRules | undefined, limits: Limits, clock: Clock, earlier?: Uploads) {
    this.rules = rules;
    this.calls = rules ? loadDiskCalls() : {};
    this.#limits = limits;
    this.#clock = clock;
    this.#slots = earlier ? earlier.#slots : new UploadSlots(limits, clock);
    this.#slots.limits = limits;
    this.#reserved = earlier ? earlier.#reserved : createReserved(() => this.#slots.limits);
    this.#holders = earlier ? earlier.#holders : new Map();
    this.#finished = earlier ? earlier.#finished : new Map();
  }

  /**
   * Claims `file`, a real path, for the upload numbered `upload`. Throws `DISK_BUSY`, `LIMIT_UPLOADS`.
   */
  async claim(file: string, upload: string, { owner, end }: Claimant): Promise<Claim> {
    const key = keyOf(file);
    for (let holder = this.#holders.get(key); holder; holder = this.#holders.get(key)) {
      if (holder.upload !== upload) throw busy(file);
      holder.end(new HoplineError('PEER_LOST', 'the client goes on over another circuit'));
      await this.#released(file, holder);
    }
    let settle = () => {};
    const released = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const holder = { upload, end, released };
    this.#holders.set(key, holder);
    const release = () => {
      if (this.#holders.get(key) === holder) this.#holders.delete(key);
      settle();
    };
    const slot = await this.#slots.take(owner, end).catch((error) => {
      release();
      throw error;
    });
    return {
      slot,
      finish: (outcome) => this.#remember(`${upload} ${key}`, outcome),
      release: () => {
        slot.release();
        release();
      },
    };
  }

  /** Whether an upload to `file`, a real path, is under way. */
  isClaimed(file: string): boolean {
    return this.#holders.has(keyOf(file));
  }

  /**
   * A share of what uploads may set aside of the disk ahead of their content, undefined if there is none: the limits
   * apply, and half of what is free stays free.
   */
  async reserve(owner: string, bytes: number, way: string): Promise<GiveBack | undefined> {
    const free = await freeBytes(path.dirname(way)).catch(() => Number.POSITIVE_INFINITY);
    const { total } = this.#reserved;
    const isShare = this.#reserved.has(owner, bytes) && total + bytes <= (total + free) / 2;
    return isShare ? this.#reserved.take(owner, bytes) : undefined;
  }

  /** How small files get their name in `directory`, on the file system `device`, other than by a part file. Never throws. */
  newFiles(directory: string, device: bigint): Promise<NewFiles | undefined> {
    const known = this.#newFiles.get(device) ?? NewFiles.besideOthers(directory, this.calls).catch(() => undefined);
    this.#newFiles.set(device, known);
    return known;
  }

  /** How the upload of this number to `file` ended, if it was completed not long ago. */
  finished(file: string, upload: string): FinishedUpload | undefined {
    return this.#finished.get(`${upload} ${keyOf(file)}`);
  }

  #released(file: string, { released }: Holder): Promise<void> {
    const deadline = { clock: this.#clock, ms: this.#limits.headMs, late: () => busy(file) };
    return withDeadline(deadline, (due) => untilAborted(released, due));
  }

  #remember(key: string, outcome: FinishedUpload): void {
    this.#finished.set(key, outcome);
    for (const oldest of this.#finished.keys()) {
      if (this.#finished.size <= maxFinished) return;
      this.#finished.delete(oldest);
    }
  }
}

function createReserved(limits: () => Limits): Budget {
  return new Budget({
    code: 'LIMIT_UPLOADS',
    what: 'reserved bytes',
    perOwner: limitNamed('maxPeerReservedBytes', limits),
    inAll: limitNamed('maxReservedBytes', limits),
  });
}

/** Names that differ in case alone are one file on most systems but Linux, where the lock on a file finds that out. */
function keyOf(file: string): string {
  return process.platform === 'linux' ? file : file.normalize('NFC').toLowerCase();
}

function busy(file: string): HoplineError {
  return new HoplineError('DISK_BUSY', `another upload is writing ${file} at this moment`);
}
