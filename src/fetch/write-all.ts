/** Bytes into a stream that somebody else reads, as fast as they do. */

import type { Writable } from 'node:stream';
import { untilAborted } from '../core/clock.ts';
import { outputError } from '../io/disk/output-error.ts';

/** Settles when more may follow. Only the signal ends the wait for a reader that has stopped. Throws `DISK_FULL` or `DISK_FAILED`. */
export function writeAll(stream: Writable, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    stream.write(bytes, (cause) => {
      if (!cause) return resolve();
      reject(outputError(cause));
    });
  });
  return untilAborted(written, signal);
}
