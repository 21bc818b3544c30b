/**
 * The options of legs, set for a socket that listens: what it accepts from then on has them, and nothing is set for each.
 *
 * Owns how that is seen. What waited to be accepted before has none of them, and neither has what comes after a change until
 * it has been told here.
 */

import { once } from '../../once.ts';
import { loadKoffi } from '../libc.ts';
import { bindLegOptions, IPPROTO_TCP, TCP_USER_TIMEOUT } from './begin-connection.ts';

export interface InheritedOptions {
  /** From now on, connections that come to `listener` have the options of legs. */
  give(listener: number, userTimeoutMs: number): void;
  /** Whether a connection came to a socket that had been given them. */
  has(connection: number, userTimeoutMs: number): boolean;
}

/** Undefined where they are not inherited, or nobody can set them. */
export const loadInheritedOptions = once((): InheritedOptions | undefined => {
  if (process.platform !== 'linux') return undefined;
  try {
    const library = loadKoffi().load(null);
    const getsockopt = library.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
    const value = new Int32Array(1);
    const length = Int32Array.of(4);
    return {
      give: bindLegOptions(library),
      has: (fd, userTimeoutMs) => {
        // It is the one that is set last.
        const result = getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, length);
        return result === 0 && value[0] === userTimeoutMs && userTimeoutMs > 0;
      },
    };
  } catch {
    return undefined;
  }
});
