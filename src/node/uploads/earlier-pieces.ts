/**
 * Which pieces that an earlier circuit brought count for an upload: those of the same client, of the same file.
 *
 * Invariant: what came in plain, or from another key, never counts for a client that encrypts.
 * Rules: docs/resume.md#versions
 */

import { createHash } from 'node:crypto';
import type { Target, TargetContent, Voucher } from '../../io/disk/writing/target.ts';
import type { RequestOf } from '../../wire/native/messages.ts';
import type { FinishedUpload } from './claims.ts';

/** Whose word the pieces of a PUT are; `sealedBy` is that of its leg. */
export function voucherOf(
  { version, upload }: Pick<RequestOf<'put'>, 'version' | 'upload'>,
  sealedBy: string | undefined,
): Voucher {
  if (sealedBy !== '') return { version, key: sealedBy };
  // Nobody else has seen the number of an upload that was sealed, so one without a key is known by it for as long as it runs.
  return { version, key: `upload-${createHash('sha256').update(upload).digest('hex').slice(0, 32)}` };
}

/** The pieces that count: those of an earlier circuit, if it was the same client's, and its file has not changed since. */
export async function beginTarget(target: Target, content: TargetContent, voucher: Voucher): Promise<Iterable<number>> {
  try {
    const { left } = await target.begin(content);
    const isSame = [...left.values()].every((vouched) => isSameWord(vouched, voucher));
    return isSame ? left.keys() : (await target.begin(content, true)).left.keys();
  } catch (error) {
    await target.keep();
    throw error;
  }
}

/** Whether it was the same client's, and of the same file: a number alone can be another's, or used again. */
export function isSameUpload(
  finished: FinishedUpload,
  { size }: Pick<RequestOf<'put'>, 'size'>,
  voucher: Voucher,
): boolean {
  return finished.size === size && isSameWord(finished.voucher, voucher);
}

function isSameWord(one: Voucher, other: Voucher): boolean {
  return one.version === other.version && one.key === other.key;
}
