/**
 * The log of `fetch --log`: a line for each request, appended to a file.
 *
 * Date, time (UTC), request in quotes, status or error code, type, bytes, file name; `-` for a value that is missing.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { asHoplineError } from '../../core/errors.ts';
import { writeError } from '../../core/system-errors.ts';
import { escapeText } from '../../core/text.ts';
import type { FetchEvent, FetchHead } from '../../fetch/fetch-options.ts';
import { fieldValue } from '../../http/fields.ts';
import { parseHttpUrl } from '../../http/http-url.ts';
import { prepareLogFile } from '../../io/disk/log-file.ts';

export interface FetchLog {
  event(event: FetchEvent): void;
  done(path: string | null): void;
  failed(error: unknown): void;
  /** Settles when all lines are written. Throws `DISK_FAILED`. */
  close(): Promise<void>;
}

/** Opens the log before anything is asked; `notice` is told if others may read it. Throws `DISK_FAILED`, and `USAGE_INVALID` for what is no URL. */
export async function openFetchLog(file: string, url: string, notice: (line: string) => void): Promise<FetchLog> {
  const { href } = parseHttpUrl(url);
  let handle: FileHandle;
  try {
    const complaint = await prepareLogFile(file);
    if (complaint !== undefined) notice(complaint);
    handle = await open(file, 'a');
  } catch (error) {
    throw writeError(file, error);
  }
  const lines: string[] = [];
  let head: FetchHead | undefined;
  let bytes = 0;
  const add = (status: string | number, name: string | null) => {
    const [date, time = ''] = new Date().toISOString().split('T');
    const request = `"${head?.method ?? '-'} ${head?.url ?? href}"`;
    const size = head === undefined ? '-' : bytes;
    const line = `${date} ${time.slice(0, 8)} ${request} ${status} ${typeOf(head)} ${size} ${written(name)}`;
    lines.push(`${escapeText(line)}\n`);
  };
  return {
    event: (event) => {
      if (event.kind === 'head') {
        head = event;
        bytes = 0;
        if (!event.isFinal) add(event.status, null);
        if (!event.isFinal) head = undefined;
      }
      if (event.kind === 'progress') bytes = event.bytes;
    },
    done: (path) => add(head?.status ?? '-', path),
    failed: (error) => {
      const { code, reason } = asHoplineError(error);
      add(reason === String(head?.status) ? reason : code, null);
    },
    close: async () => {
      try {
        await handle.appendFile(lines.join(''));
      } catch (error) {
        throw writeError(file, error);
      } finally {
        await handle.close();
      }
    },
  };
}

function typeOf(head: FetchHead | undefined): string {
  const [type = ''] = fieldValue(head?.fields ?? [], 'content-type')?.split(';') ?? [];
  return /^[!-~]+/.exec(type)?.[0] ?? '-';
}

/** A name in one piece, whatever is in it. */
function written(name: string | null): string {
  if (name === null) return '-';
  return /^[^\s"\\]+$/.test(name) ? name : JSON.stringify(name);
}
