/**
 * Which directory a node serves files from: the one that it was told, or the working directory where only this machine
 * reaches the node.
 *
 * Invariant: a node that other machines reach serves nothing that nobody named.
 * Rules: SECURITY.md
 */

import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../core/errors.ts';
import { isWithin } from '../io/disk/reading/below-root.ts';
import { isLoopback } from './access/special-networks.ts';

interface Serving {
  /** As it was written: a name other than `localhost` may stand for any address. */
  readonly listen: { readonly host: string };
  readonly root?: string | undefined;
}

/** The directory, not looked at yet; undefined for a node that is no origin. */
export function chooseRoot({ listen: { host }, root }: Serving): string | undefined {
  if (root !== undefined) return root;
  return isReachedHere(host) ? process.cwd() : undefined;
}

/** Whether who listens on `host` is reached from this machine alone. */
export function isReachedHere(host: string): boolean {
  return host.toLowerCase() === 'localhost' || isLoopback(host);
}

/**
 * Throws `USAGE_INVALID` for a file that decides who may come, and is below `root`, a real path: it would be served, and be
 * there to be replaced; so would a link that leads out.
 */
export async function checkOutside(root: string | undefined, file: string | undefined, flag: string): Promise<void> {
  if (root === undefined || file === undefined) return;
  const places = [realpath(path.dirname(file)), realpath(file)].map((place) => place.catch(() => undefined));
  const found = await Promise.all(places);
  if (found.every((place) => place === undefined || !isWithin(root, place))) return;
  throw new HoplineError('USAGE_INVALID', `${flag}: read "${file}", expected a file outside the root, which is served`);
}

/** The directory that a request for a file is about. Throws `FILE_DENIED` on a node that is no origin. */
export function servedRoot({ root }: { readonly root: string | undefined }): string {
  if (root !== undefined) return root;
  const message = 'the node serves no files: it listens off loopback, and was given no --root';
  throw new HoplineError('FILE_DENIED', message, { reason: 'NO_ROOT' });
}
