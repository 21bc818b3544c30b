/** A text file that somebody wrote for hopline: read whole, in UTF-8, of a bounded length. */

import { readFile } from 'node:fs/promises';
import { type ErrorCode, HoplineError } from '../../../core/errors.ts';
import { systemError } from '../../../core/system-errors.ts';

const defaultMaxBytes = 1024 * 1024;

interface TextFile {
  /** What the file is for, in messages: `the route file`. */
  readonly what: string;
  /** Thrown if it cannot be read. */
  readonly code: ErrorCode;
  /** Thrown if it is too long or no text. @default `code` */
  readonly invalid?: ErrorCode;
  /** @default 1 MiB */
  readonly maxBytes?: number;
}

/** Throws as told, with the reason in words; without a byte order mark. */
export async function readTextFile(
  file: string,
  { what, code, invalid = code, maxBytes = defaultMaxBytes }: TextFile,
): Promise<string> {
  const failed = `cannot read ${what} ${file}`;
  const bytes = await readFile(file).catch((cause) => {
    throw systemError(code, failed, cause);
  });
  if (bytes.length > maxBytes) throw new HoplineError(invalid, `${failed}: it is larger than ${maxBytes} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HoplineError(invalid, `${failed}: expected text in UTF-8`, { cause });
  }
}
