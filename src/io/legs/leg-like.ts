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
};
