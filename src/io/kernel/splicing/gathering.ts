/**
 * Lets more of a stream gather in a socket before its circuit is turned: to be woken for each segment costs more than to move it.
 *
 * Owns the mark of that socket (SO_RCVLOWAT), and the timer beside it. Does not move bytes: it has the circuit turned.
 * A stream has been long and fast for a while before anything is withheld, so that short exchanges never wait.
 * Invariant: what has come is withheld for at most `maxWaitMs`, and for at most a 64th of the time that the stream has lasted;
 * once over, the socket wakes for every byte again and no timer is left.
 */

import type { Clock } from '../../../core/clock.ts';
import type { KernelSocket } from '../socket.ts';

/** Bytes to be woken for at once. The system wakes for fewer where its buffer is nearly full. */
const markBytes = 2 * 1024 * 1024;
const maxWaitMs = 10;
/** Of the time that the stream has lasted. */
const waitShare = 1 / 64;
/** So long a stream is watched before anything is withheld, and again each time: a busy machine moves it by fits and starts. */
const judgedMs = 128;
/** A stream that brought less in that time is over. */
const leastBytesPerMs = 16 * 1024;

export interface GatheringOptions {
  readonly clock: Clock;
  /** The one that the stream comes from. */
  readonly socket: Pick<KernelSocket, 'isOpen' | 'setMark'>;
  /** Moves what has come; how many bytes of the stream have been moved in all. It may call `close`. */
  readonly turn: () => number;
  /** Bytes that have been moved before. */
  readonly moved: number;
  /** Called once when the stream is over, though not by `close`. */
  readonly onOver: () => void;
}

/** For one stream, from its beginning until it is over. */
export class Gathering {
  readonly #options: GatheringOptions;
  readonly #begunAt: number;
  #judgedAt: number;
  /** By then. */
  #moved: number;
  #cancel: () => void;

  constructor(options: GatheringOptions) {
    const { clock, moved } = options;
    this.#options = options;
    this.#begunAt = clock.now();
    this.#judgedAt = this.#begunAt;
    this.#moved = moved;
    this.#cancel = clock.after(judgedMs, this.#look);
  }

  /** Leaves the socket as it is. */
  close(): void {
    this.#cancel();
  }

  readonly #look = () => {
    const { clock, socket, turn, onOver } = this.#options;
    const total = turn();
    // The turn may have ended the circuit.
    if (!socket.isOpen) return;
    const now = clock.now();
    const passedMs = now - this.#judgedAt;
    if (passedMs >= judgedMs) {
      const isFast = total - this.#moved >= passedMs * leastBytesPerMs;
      socket.setMark(isFast ? markBytes : 1);
      if (!isFast) return onOver();
      this.#moved = total;
      this.#judgedAt = now;
    }
    const waitMs = Math.min(maxWaitMs, Math.floor((now - this.#begunAt) * waitShare));
    this.#cancel = clock.after(waitMs, this.#look);
  };
}
