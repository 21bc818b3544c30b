/**
 * A text file that says who may do what: read whole, or not believed at all.
 *
 * Does not know what its text means.
 * Invariant: what others may write, or could have put there, is not read; nor is a secret that others may read.
 */

import { isUtf8 } from 'node:buffer';
import { type BigIntStats, constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { systemCode } from '../../../core/system-errors.ts';

export interface TrustRules {
  /** More than that is no such text. */
  readonly maxBytes: number;
  /** Whether others than its owner may read it. */
  readonly isSecret: boolean;
}

export type TrustedText =
  | { readonly kind: 'text'; readonly text: string; readonly stamp: string }
  /** Nothing that could be read, as it stands: too long, or no UTF-8; `text` has what of that is ASCII as it is. */
  | { readonly kind: 'invalid'; readonly problem: string; readonly text?: string; readonly stamp: string }
  /** It is not there, or cannot be trusted. */
  | { readonly kind: 'closed'; readonly problem: string; readonly stamp: string };

const othersMayWrite = 0o022;
const othersMayRead = 0o044;

/** What tells one state of the file from another; never rejects. */
export function stampOf(file: string): Promise<string> {
  return stat(file, { bigint: true }).then(toStamp, (error) => systemCode(error) ?? 'unknown');
}

/** Never rejects. */
export async function readTrustedText(file: string, rules: TrustRules): Promise<TrustedText> {
  try {
    // Not blocking, since a FIFO would wait for somebody who writes.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = await handle.stat({ bigint: true });
      const stamp = toStamp(stats);
      const distrust = whyDistrusted(stats, rules.isSecret);
      if (distrust !== undefined) return { kind: 'closed', problem: `${file} ${distrust}`, stamp };
      if (stats.size > rules.maxBytes) return tooLong(file, rules, stamp);
      const bytes = Buffer.alloc(rules.maxBytes + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        ({ bytesRead: read } = await handle.read(bytes, length, bytes.length - length, null));
      }
      if (length === bytes.length) return tooLong(file, rules, stamp);
      const content = bytes.subarray(0, length);
      if (!isUtf8(content)) {
        return { kind: 'invalid', problem: `${file}: expected text in UTF-8`, text: content.toString('latin1'), stamp };
      }
      return { kind: 'text', text: content.toString('utf8'), stamp };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const reason = systemCode(error) ?? 'unknown';
    const how = reason === 'ENOENT' ? 'is not there' : `cannot be read (${reason})`;
    return { kind: 'closed', problem: `${file} ${how}`, stamp: reason };
  }
}

function tooLong(file: string, { maxBytes }: TrustRules, stamp: string): TrustedText {
  return { kind: 'invalid', problem: `${file}: expected at most ${maxBytes} bytes`, stamp };
}

function toStamp({ dev, ino, size, mtimeNs, mode, uid }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, mode, uid].join(' ');
}

/** Undefined for a file that its owner alone may write, who is this user or root, and read, if it is secret. */
function whyDistrusted(stats: BigIntStats, isSecret: boolean): string | undefined {
  if (!stats.isFile()) return 'is no regular file';
  const user = process.geteuid?.();
  if (user === undefined) return undefined;
  const uid = Number(stats.uid);
  if (uid !== user && uid !== 0) return 'belongs to another user';
  const mode = Number(stats.mode);
  const shown = `has mode ${(mode & 0o777).toString(8).padStart(4, '0')}`;
  if (isSecret && (mode & (othersMayRead | othersMayWrite)) !== 0) return `${shown}, so others may use it: chmod 600`;
  if ((mode & othersMayWrite) !== 0) return `${shown}, so others may write it: chmod go-w`;
  return undefined;
}
