/**
 * One direction of a tunnel: from one socket into the other, through a pipe inside the kernel.
 *
 * Either fills an empty pipe or drains it, never both, so that "try again" has
 * one meaning: nothing to read, or no room to write.
 * Invariant: holds a pipe only while bytes are in it, or within a turn.
 */

import { constants } from 'node:os';
import type { RateLimit } from '../../rates/rate.ts';
import { Allowance } from '../allowance.ts';
import type { Libc } from '../libc.ts';
import type { KernelSocket } from '../socket.ts';
import type { Pipe, Pipes } from './pipes.ts';

/** Bytes that a direction may move before others have their turn; it may go beyond that by one fill. */
const turnBytes = 2 * 1024 * 1024;
/** More does not fit into a pipe. */
const fillBytes = 1024 * 1024;
/** What comes in so small parts leaves nothing behind: to look again would be in vain, and the event loop tells of more. */
const dryBytes = 16 * 1024;
/** Above that a copy costs more than a segment. */
const maxJoinedBytes = 16 * 1024;

export type Side = 'near' | 'far';

/** Which socket failed, with what errno; none when the failure is this machine's. */
export interface Breakage {
  readonly side?: Side;
  readonly errno: number;
  readonly call: string;
}

interface End {
  readonly side: Side;
  readonly socket: KernelSocket;
}

export class Direction {
  readonly #from: End;
  readonly #to: End;
  readonly #head: Buffer[];
  #pipe: Pipe | undefined;
  #held = 0;
  #isDone = false;
  /** Whether the last fill left nothing to read behind it. */
  #isDry = false;
  /** Below 0 while the lead is on its way. */
  #bytes: number;
  #breakage: Breakage | undefined;
  #allowance: Allowance | undefined;

  /** `lead` goes before the head, and is neither counted nor limited. */
  constructor(from: End, to: End, head: readonly Buffer[], lead?: Buffer) {
    this.#from = from;
    this.#to = to;
    this.#head = lead ? [lead, ...head] : [...head];
    this.#bytes = lead ? -lead.length : 0;
  }

  /** Bytes that the receiving socket has taken. */
  get bytes(): number {
    return Math.max(0, this.#bytes);
  }

  /** Whether the end of the stream has come, and all that was before it has been passed on. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether bytes wait for the receiving socket. */
  get isHolding(): boolean {
    return this.#held > 0 || this.#head.length > 0;
  }

  /** Whether bytes wait for the limit. */
  get isHeldBack(): boolean {
    return this.#allowance?.isWaiting ?? false;
  }

  /** Called at most once, before the first turn. */
  limit(rate: RateLimit, allowed: () => void): void {
    this.#allowance = new Allowance(rate, allowed);
  }

  turn(libc: Libc, pipes: Pipes): Breakage | undefined {
    const limit = this.#bytes + turnBytes;
    while (this.#bytes < limit && this.#step(libc, pipes));
    // Only an empty pipe may serve another circuit.
    if (this.#held === 0) this.letGo(pipes);
    return this.#breakage;
  }

  /** Passes on what has arrived, as far as it is taken. */
  passRest(libc: Libc, pipes: Pipes): void {
    for (let before = Number.NEGATIVE_INFINITY; this.#bytes > before; ) {
      before = this.#bytes;
      this.turn(libc, pipes);
    }
  }

  close(pipes: Pipes): void {
    this.#allowance?.close();
    this.letGo(pipes);
  }

  letGo(pipes: Pipes): void {
    const pipe = this.#pipe;
    this.#pipe = undefined;
    if (!pipe) return;
    if (this.#held === 0) pipes.give(pipe);
    else pipes.discard(pipe);
  }

  /** One call to the kernel; false when the direction has to wait, or is done. */
  #step(libc: Libc, pipes: Pipes): boolean {
    if (this.#held > 0 && this.#pipe) return this.#drain(libc, this.#pipe);
    if (this.#isDone) return false;
    const limit = this.#bytes < 0 ? undefined : this.#allowance;
    const allowed = limit ? limit.take(fillBytes) : fillBytes;
    if (allowed === 0) return false;
    if (!this.#allowance) this.#joinHead();
    const [head] = this.#head;
    return head ? this.#sendHead(libc, head, allowed) : this.#fill(libc, pipes, allowed);
  }

  /** One segment in place of several, each of which the next node would be woken for. */
  #joinHead(): void {
    const [first, second, ...others] = this.#head;
    if (!first || !second || others.length > 0 || first.length + second.length > maxJoinedBytes) return;
    this.#head.splice(0, 2, Buffer.concat([first, second]));
  }

  #sendHead(libc: Libc, head: Buffer, allowed: number): boolean {
    const limit = this.#bytes < 0 ? undefined : this.#allowance;
    const sent = libc.send(this.#to.socket.fd, allowed < head.length ? head.subarray(0, allowed) : head);
    limit?.spend(sent);
    if (sent < 0) return this.#retry(this.#to, sent, 'send');
    this.#bytes += sent;
    if (sent < head.length) this.#head[0] = head.subarray(sent);
    else this.#head.shift();
    // What comes behind a head is mostly still on its way, and the event loop tells of it.
    return this.#head.length > 0;
  }

  #fill(libc: Libc, pipes: Pipes, allowed: number): boolean {
    const pipe = this.#pipe ?? pipes.take();
    if (typeof pipe === 'number') {
      this.#breakage = { errno: -pipe, call: 'pipe' };
      return false;
    }
    this.#pipe = pipe;
    const taken = libc.splice(this.#from.socket.fd, pipe.into, allowed);
    this.#allowance?.spend(taken);
    if (taken < 0) return this.#retry(this.#from, taken, 'splice');
    this.#held = taken;
    this.#isDry = taken < Math.min(allowed, dryBytes);
    if (taken === 0) this.#isDone = true;
    return taken > 0;
  }

  #drain(libc: Libc, pipe: Pipe): boolean {
    const given = libc.splice(pipe.out, this.#to.socket.fd, this.#held);
    if (given < 0) return this.#retry(this.#to, given, 'splice');
    this.#held -= given;
    this.#bytes += given;
    // What was not taken finds no room at once either.
    return this.#held === 0 && !this.#isDry;
  }

  /** Whether to try again at once; any failure but "not now" breaks the direction. */
  #retry({ side }: End, result: number, call: string): boolean {
    if (result === -constants.errno.EINTR) return true;
    if (result !== -constants.errno.EAGAIN) this.#breakage = { side, errno: -result, call };
    return false;
  }
}
