/**
 * A text file that somebody wrote for hopline: read whole, in UTF-8, of a bounded length.
 *
 * Invariant: of what is longer, or never ends, no more is read than it takes to know that.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { type ErrorCode, HoplineError } from '../../../core/errors.ts';
import { systemError } from '../../../core/system-errors.ts';

const defaultMaxBytes = 1024 * 1024;
const partBytes = 64 * 1024;
const anybodyMayWrite = 0o002;

interface TextFile {
  /** What the file is for, in messages: `the route file`. */
  readonly what: string;
  /** Thrown if it cannot be read. */
  readonly code: ErrorCode;
  /** Thrown if it is too long or no text. @default `code` */
  readonly invalid?: ErrorCode;
  /** @default 1 MiB */
  readonly maxBytes?: number;
  /** Whether it is read although it decides more than its reader has asked for: then not if anybody may write it. @default false */
  readonly isUnasked?: boolean;
}

/** Throws as told, with the reason in words; without a byte order mark. */
export async function readTextFile(
  file: string,
  { what, code, invalid = code, maxBytes = defaultMaxBytes, isUnasked = false }: TextFile,
): Promise<string> {
  const failed = `cannot read ${what} ${file}`;
  const bytes = await readUpTo(file, maxBytes + 1, (mode) => {
    if (!isUnasked || process.platform === 'win32' || (mode & anybodyMayWrite) === 0) return;
    throw new HoplineError(invalid, `${failed}: anybody may write it; chmod o-w ${file}`);
  }).catch((cause) => {
    throw cause instanceof HoplineError ? cause : systemError(code, failed, cause);
  });
  if (bytes.length > maxBytes) throw new HoplineError(invalid, `${failed}: it is larger than ${maxBytes} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HoplineError(invalid, `${failed}: expected text in UTF-8`, { cause });
  }
}

/** A pipe, such as a shell makes for `<(...)`, has no length before its end. */
async function readUpTo(file: string, most: number, judge: (mode: number) => void): Promise<Buffer> {
  const handle = await open(file);
  try {
    judge((await handle.stat()).mode);
    const parts: Buffer[] = [];
    let length = 0;
    while (length < most) {
      const part = await readPart(handle, Math.min(partBytes, most - length));
      if (part.length === 0) break;
      parts.push(part);
      length += part.length;
    }
    return Buffer.concat(parts);
  } finally {
    await handle.close();
  }
}

async function readPart(handle: FileHandle, most: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(most), 0, most, null);
  return buffer.subarray(0, bytesRead);
}
