/**
 * A stream that is to be uploaded, brought to a file of its own first: the size and the digests of what is sent must be known,
 * and a piece may have to be sent again.
 *
 * Invariant: the file has no name where the system allows that, and so is gone with this process, however that ends.
 */

import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { asHoplineError } from '../../../core/errors.ts';
import { type Signal, toAbortSignal } from '../../../core/signal.ts';
import { writeError } from '../../../core/system-errors.ts';

export interface Spooled {
  /** At its beginning, to be read. */
  readonly handle: FileHandle;
  /** Removes what is left of it, once the handle is closed. Never throws. */
  remove(): Promise<void>;
}

/** Takes all that comes from `stream`. Throws what the disk of temporary files or the stream fails with, and the reason of `signal`. */
export async function spool(stream: Readable, signal: Signal): Promise<Spooled> {
  // It may break before anybody reads it, which then tells.
  stream.once('error', () => {});
  const directory = await mkdtemp(path.join(tmpdir(), 'hopline-put-')).catch((error) => {
    throw writeError(`to the directory of temporary files, ${tmpdir()} (TMPDIR)`, error);
  });
  const remove = () => rm(directory, { recursive: true, force: true }).catch(() => {});
  const file = path.join(directory, 'content');
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'wx+', 0o600);
    // Windows keeps the name of an open file.
    if (process.platform !== 'win32') await remove();
    // Behind all that was written before.
    for await (const part of addAbortSignal(toAbortSignal(signal), stream)) await handle.appendFile(part);
    return { handle, remove };
  } catch (error) {
    await handle?.close();
    await remove();
    signal.throwIfAborted();
    throw asHoplineError(writeError(file, error));
  }
}
