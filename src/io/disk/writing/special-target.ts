/**
 * A FIFO or a device that was named as the place for a file: written into, as stdout is, and never replaced.
 *
 * Owns what it has opened. Nothing is made: what is opened was there.
 * Invariant: opened before the first piece, closed however the transfer ends.
 */

import { close as closeFile, constants, createWriteStream, open as openFile, fstat as statFile } from 'node:fs';
import { stat } from 'node:fs/promises';
import net from 'node:net';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import { pause, systemClock } from '../../../core/clock.ts';
import type { Signal } from '../../../core/signal.ts';
import { systemCode, writeError } from '../../../core/system-errors.ts';
import type { WholeDigest } from '../../digests/whole-digest.ts';
import { notReplaced } from '../occupant.ts';

import { StreamTarget } from './stream-target.ts';
import type { Begun, Piece, Target, TargetContent } from './target.ts';

const [open, close, fstat] = [promisify(openFile), promisify(closeFile), promisify(statFile)];

/** Milliseconds between two looks for a reader of a FIFO. */
const readerMs = 50;

export class SpecialTarget implements Target {
  readonly path: string;
  readonly replaces = false;
  readonly mayResume = false;
  readonly maxPiecesEarly: number;
  readonly #signal: Signal;
  readonly #whole: WholeDigest | undefined;
  #opened: { readonly stream: Writable; readonly target: StreamTarget } | undefined;

  /** A FIFO may have no reader for ever, or one that stops; only `signal` ends the wait. */
  constructor(path: string, signal: Signal, maxPiecesEarly: number, whole?: WholeDigest) {
    this.path = path;
    this.maxPiecesEarly = maxPiecesEarly;
    this.#signal = signal;
    this.#whole = whole;
  }

  async begin(content: TargetContent): Promise<Begun> {
    try {
      if (!this.#opened) {
        const stream = await openSpecial(this.path, this.#signal);
        this.#opened = { stream, target: new StreamTarget(stream, this.#signal, this.maxPiecesEarly, this.#whole) };
      }
      return await this.#opened.target.begin(content);
    } catch (error) {
      throw this.#signal.aborted ? this.#signal.reason : writeError(this.path, error);
    }
  }

  async write(...pieces: readonly Piece[]): Promise<void> {
    await this.#opened?.target.write(...pieces);
  }

  async commit(): Promise<void> {
    const opened = this.#opened;
    await opened?.target.commit();
    this.#opened = undefined;
    const ended = opened && finished(opened.stream, { readable: false });
    opened?.stream.end();
    await ended?.catch((error) => {
      throw writeError(this.path, error);
    });
  }

  async keep(): Promise<number> {
    await this.discard();
    return 0;
  }

  async discard(): Promise<void> {
    const { stream, target } = this.#opened ?? {};
    this.#opened = undefined;
    await target?.discard();
    const ended = stream && finished(stream, { readable: false });
    stream?.destroy();
    await ended?.catch(() => {});
  }
}

/** Throws what the system says, `DISK_FAILED` if it is something else by now, and the reason of `signal`. */
async function openSpecial(path: string, signal: Signal): Promise<Writable> {
  const { O_WRONLY, O_NONBLOCK = 0, O_NOCTTY = 0 } = constants;
  for (;;) {
    signal.throwIfAborted();
    const isFifo = (await stat(path)).isFIFO();
    try {
      // Waiting for a reader in the system could not be ended.
      const descriptor = await open(path, isFifo ? O_WRONLY | O_NONBLOCK : O_WRONLY | O_NOCTTY);
      return await streamInto(descriptor, path);
    } catch (error) {
      if (!isFifo || systemCode(error) !== 'ENXIO') throw error;
      await pause(systemClock, readerMs, signal);
    }
  }
}

async function streamInto(descriptor: number, path: string): Promise<Writable> {
  const opened = await fstat(descriptor);
  if (opened.isFIFO()) return new net.Socket({ fd: descriptor, readable: false, writable: true });
  if (opened.isCharacterDevice()) return createWriteStream('', { fd: descriptor });
  await close(descriptor);
  throw notReplaced(path, { what: 'something else by now' });
}
