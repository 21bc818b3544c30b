/**
 * The access log: a line for each request, written beside the requests and never in their way.
 *
 * Owns the file and what waits to be written to it. A disk that is slow or full
 * costs lines, which are counted, and never a request its time.
 * Invariant: at most `maxAccessLogBytes` wait.
 * Documentation: docs/http/gateway.md#access-log
 */

import { once } from 'node:events';
// A CommonJS module whose types say otherwise: its one export has the class as a property.
import sonicBoom from 'sonic-boom';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import type { Logger } from '../../core/log.ts';
import { systemCode, writeError } from '../../core/system-errors.ts';
import { fieldValue } from '../../http/fields.ts';
import { logFileMode, prepareLogFile } from '../../io/disk/log-file.ts';
import type { Ended } from '../server/http-server.ts';
import { type AccessFormat, type AccessRecord, createAccessFormat, type MaskQuery } from './access-format.ts';

export interface AccessLogOptions {
  /** A file that is appended to, or `-` for stdout. */
  readonly file: string;
  /** @default 'combined' */
  readonly format?: AccessFormat | undefined;
  readonly maskQuery?: MaskQuery | undefined;
  /** Bytes that wait to be written at most; what comes then is dropped. */
  readonly maxBytes: number;
  readonly log: Logger;
}

const names = {
  file: true,
  format: true,
  maskQuery: true,
  maxBytes: true,
  log: true,
} as const satisfies OptionNames<AccessLogOptions>;

export interface AccessLog {
  write(record: AccessRecord): void;
  /** Goes on in a new file of the same name, after a rotation has moved the old one away. */
  reopen(): void;
  /** Lines that were dropped so far. */
  readonly dropped: number;
  /** Settles when all that waits has been written, or could not be. */
  close(): Promise<void>;
}

/** Milliseconds for what waits to be written once nothing comes any more. */
const closeMs = 2000;
/** Milliseconds between two complaints. */
const complainMs = 60_000;

/** Opens the log. Throws `DISK_FAILED`. */
export async function openAccessLog(options: AccessLogOptions): Promise<AccessLog> {
  refuseUnknown(options, { by: 'openAccessLog', names });
  const { file, format = 'combined', maskQuery, maxBytes, log } = options;
  const formatted = createAccessFormat(format, maskQuery);
  const complaint = file === '-' ? undefined : await prepare(file);
  if (complaint !== undefined) log.warn({ file }, complaint);
  const stream = new sonicBoom.SonicBoom({
    dest: file === '-' ? 1 : file,
    append: true,
    // For a file that is made anew, after a rotation.
    mode: logFileMode,
    sync: false,
    maxLength: maxBytes,
  });
  await opened(stream, file);
  let dropped = 0;
  let isClosed = false;
  /** One after the other, and all before the end: a stream that ends while it waits to reopen never would. */
  let reopening: Promise<unknown> = Promise.resolve();
  let complainedAt = Number.NEGATIVE_INFINITY;
  const complain = (fields: object, message: string) => {
    const now = performance.now();
    if (now - complainedAt < complainMs) return;
    complainedAt = now;
    log.warn({ file, dropped, ...fields }, message);
  };
  stream.on('drop', () => {
    dropped += 1;
    complain({}, 'the access log is too slow: lines are dropped');
  });
  stream.on('error', (error) => complain({ reason: systemCode(error) }, `the access log fails: ${error.message}`));
  return {
    write: (record) => {
      if (!isClosed) stream.write(formatted(record));
    },
    reopen: () => {
      if (file === '-' || isClosed) return;
      reopening = reopening.then(() => {
        const reopened = once(stream, 'ready');
        stream.reopen();
        // That it failed has been told; what follows goes on in the old file.
        return reopened.catch(() => {});
      });
    },
    get dropped() {
      return dropped;
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        stream.destroy();
      }, closeMs);
      await reopening;
      if (!isLate) {
        const closed = once(stream, 'close').catch(() => {});
        stream.end();
        await closed;
      }
      clearTimeout(late);
      stream.destroy();
    },
  };
}

/** What is kept of a request that ended just now. */
export function accessRecord(ended: Ended): AccessRecord {
  const { request, status, notes, site, client, user, trace, failure, bytes, firstMs, totalMs } = ended;
  return {
    time: Date.now() - totalMs,
    client,
    user,
    site,
    backend: notes.backend,
    method: request.method ?? '',
    target: request.url ?? '',
    version: request.httpVersion,
    status,
    bytes,
    firstByteMs: firstMs,
    totalMs,
    cache: notes.cache,
    retries: notes.retries ?? 0,
    id: trace,
    circuit: notes.circuit,
    referer: fieldValue(request.rawHeaders, 'referer'),
    userAgent: fieldValue(request.rawHeaders, 'user-agent'),
    error: failure?.code,
  };
}

async function prepare(file: string): Promise<string | undefined> {
  try {
    return await prepareLogFile(file);
  } catch (cause) {
    throw writeError(file, cause);
  }
}

async function opened(stream: sonicBoom.SonicBoom, file: string): Promise<void> {
  try {
    await once(stream, 'ready');
  } catch (cause) {
    throw writeError(file, cause);
  }
}
