/** What every leg takes, whichever side opened it. */

import type { SetUserTimeout } from '../kernel/libc.ts';
import type { SocketReader } from '../kernel/socket-reader.ts';

export interface LegOptions {
  /** Milliseconds without a byte in either direction before the leg is given up. */
  readonly idleMs: number;
  /** Bytes that the leg's blocks grow to while it is busy. */
  readonly maxBlockBytes: number;
  /** Sets `idleMs` for what was sent as well: a peer that vanished in between acknowledges nothing. @default not set */
  readonly setUserTimeout?: SetUserTimeout | undefined;
  /** Takes large parts straight off the connection with this descriptor, where it can. @default all goes through blocks of the leg */
  readonly openReader?: OpenReader | undefined;
}

/** Whoever gets a reader closes it; undefined where there is no such way. */
export type OpenReader = (fd: number | undefined, peer: string) => SocketReader | undefined;
