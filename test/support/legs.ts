/** Legs on loopback for one test, and a clock that only moves when it is told to. */

import net from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as nextTimer, setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import type { Leg } from '../../src/io/legs/leg.ts';
import type { LegLike } from '../../src/io/legs/leg-like.ts';
import type { LegOptions } from '../../src/io/legs/leg-options.ts';
import { acceptLegs } from '../../src/io/legs/open-leg.ts';

const options: LegOptions = { idleMs: 10_000, maxBlockBytes: 64 * 1024 };

export interface LegPair {
  /** The side under test, as a server accepts it. */
  readonly leg: Leg;
  /** Its peer, a plain socket that is not read until somebody listens. */
  readonly peer: net.Socket;
}

/** Connects a plain socket to a leg; both are gone when the test ends. */
export async function makeLeg(t: TestContext, changed: Partial<LegOptions> = {}): Promise<LegPair> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Leg>((resolve) => acceptLegs(server, () => ({ ...options, ...changed }), resolve));
  const { port } = server.address() as net.AddressInfo;
  const peer = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  peer.on('error', () => {});
  const leg = await accepted;
  server.close();
  t.after(async () => {
    peer.destroy();
    leg.destroy();
    await leg.closed;
  });
  return { leg, peer };
}

/** Keeps this process from everything for so many milliseconds. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Everything that a leg receives until its peer ends. */
export async function readAll(leg: LegLike): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let chunk = await leg.read(); chunk; chunk = await leg.read()) {
    parts.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(parts);
}

/** Writes to a peer that does not read until nothing is taken any more, or `total` bytes were; says how many. */
export async function writeUntilStopped(socket: net.Socket, total: number): Promise<number> {
  const block = Buffer.alloc(64 * 1024);
  let sent = 0;
  // A write that has not drained after so many turns of the loop will not before somebody reads.
  for (let waited = 0; waited < 2000 && sent < total; await turn()) {
    waited = socket.writableNeedDrain ? waited + 1 : 0;
    if (waited > 0) continue;
    socket.write(block);
    sent += block.length;
  }
  return sent;
}

export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  readonly now = () => this.#now;

  readonly after = (ms: number, action: () => void) => {
    const timer = { at: this.#now + ms, action };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves the time on and runs what is due. */
  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
      this.#timers.delete(timer);
      timer.action();
    }
  }
}

/** Moves the time on while `work` goes on, a few times as fast as time itself does: any faster, and it would run away from the bytes. */
export async function advanceUntil(clock: FakeClock, work: Promise<unknown>): Promise<void> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await nextTimer(1);
    clock.advance(5);
  }
  await done;
}
