/**
 * The pipes that bytes go through on their way from one socket to another.
 *
 * Owns the pipes that nobody uses. A tunnel holds one only while bytes are in
 * it, so a few serve many circuits. Large ones are what makes splicing cheap,
 * but the system grants a user only so many: past `maxLarge`, or where it
 * refuses, a pipe keeps the size that the system gave it.
 * Invariant: a pipe is here, or one tunnel has it; once closed, none is here.
 */

import type { Libc } from '../libc.ts';

const largeBytes = 1024 * 1024;
const maxLarge = 32;
const maxFree = 16;

export interface Pipe {
  /** The end to read from, and the end to write to. */
  readonly out: number;
  readonly into: number;
  readonly isLarge: boolean;
}

export class Pipes {
  readonly #libc: Libc;
  readonly #free: Pipe[] = [];
  #large = 0;
  #isClosed = false;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** An empty pipe, or an errno, negated. */
  take(): Pipe | number {
    const free = this.#free.pop();
    if (free) return free;
    const pipe = this.#libc.pipe();
    if (typeof pipe === 'number') return pipe;
    const isLarge = this.#large < maxLarge && this.#libc.setPipeBytes(pipe.into, largeBytes) > 0;
    if (isLarge) this.#large += 1;
    return { ...pipe, isLarge };
  }

  /** Gives back an empty pipe. */
  give(pipe: Pipe): void {
    if (pipe.isLarge && this.#free.length < maxFree && !this.#isClosed) this.#free.push(pipe);
    else this.discard(pipe);
  }

  /** Closes a pipe that may hold bytes. */
  discard(pipe: Pipe): void {
    if (pipe.isLarge) this.#large -= 1;
    this.#libc.close(pipe.out);
    this.#libc.close(pipe.into);
  }

  close(): void {
    this.#isClosed = true;
    for (const pipe of this.#free.splice(0)) this.discard(pipe);
  }
}
