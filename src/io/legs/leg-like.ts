import type { KernelEngine } from '../kernel/engine.ts';
import type { Leg } from './leg.ts';

/** What is read and written as a leg is: a leg, or what stands on one and has another form of its bytes. */
export type LegLike = Pick<
  Leg,
  | 'peer'
  | 'address'
  | 'closed'
  | 'failure'
  | 'isQuiet'
  | 'hasUnread'
  | 'descriptor'
  | 'read'
  | 'readInto'
  | 'readNow'
  | 'unread'
  | 'interrupt'
  | 'write'
  | 'post'
  | 'cork'
  | 'uncork'
  | 'end'
  | 'linger'
  | 'destroy'
  | 'touch'
  | 'readPastFailedWrites'
> & {
  /** The key, as text, of whoever sealed what comes, empty for one without; absent where it comes in plain. */
  readonly sealedBy?: string;
  /** Of one that seals: bytes that have come of the record at hand, none of which can be read before it is whole. */
  readonly partialBytes?: number;
  /**
   * Of one that seals: what `bytes` of frames and content are sent by that this process has read, at a fraction of what writing
   * them costs. Undefined while something is on its way, where so much may not be sent yet, and where there is no such way.
   */
  readonly openContent?: (kernel: KernelEngine, bytes: number) => ContentSender | undefined;
};

export interface ContentSender {
  /**
   * Sends `head` and, behind it, `length` bytes that `fill` puts into block after block; it must fill all of each. Settles when the
   * kernel has everything; until then nothing else leaves. Throws what broke the leg, and what `fill` does, which breaks it.
   */
  send(head: Buffer | undefined, length: number, fill: (block: Buffer) => Promise<void>): Promise<void>;
}
