/**
 * A leg with faults: a TCP relay in front of a node, which slows, cuts, loses and alters what passes.
 *
 * Owns its listener and both sockets of every connection. Strikes are armed for
 * the moment at which a certain byte is about to pass, counted over all its
 * connections, and that byte waits until the strike is done. Knows nothing about what the bytes mean.
 * Invariant: without faults every byte, end and reset goes on as it came.
 */

import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Connection, type Direction } from './connection.ts';

/**
 * Called with the bytes that are about to pass, the first of them the one it was armed for.
 * Returns what passes in their place.
 */
export type Strike = (rest: Buffer, connection: Connection) => Buffer | Promise<Buffer>;

/** What a leg that loses everything does with it: read it and drop it, or leave it with the sender. */
export type Loss = 'swallow' | 'stall';

interface Armed {
  readonly at: number;
  readonly strike: Strike;
}

export interface ShimOptions {
  readonly host: string;
  readonly target: { readonly host: string; readonly port: number };
  /** Bytes a second, each way; 0 for as fast as it goes. */
  readonly bytesPerSecond: number;
}

const burstMs = 20;
/** What passes at once on a slow leg takes no longer, so that several connections share it evenly. */
const sliceMs = 50;
const minSliceBytes = 1024;

export class Shim {
  readonly host: string;
  readonly #target: ShimOptions['target'];
  readonly #connections = new Set<Connection>();
  readonly #armed: Record<Direction, Armed[]> = { forward: [], back: [] };
  readonly #passed: Record<Direction, number> = { forward: 0, back: 0 };
  readonly #freeAt: Record<Direction, number> = { forward: 0, back: 0 };
  readonly #plainRate: number;
  #rate: number;
  #server: net.Server | undefined;
  #port = 0;
  #loss: Loss | undefined;
  #secrets: readonly Buffer[] = [];
  /** Of these, those that passed, in words. */
  readonly exposed: string[] = [];
  /** Milliseconds that each byte is held back. */
  delayMs = 0;

  private constructor({ host, target, bytesPerSecond }: ShimOptions) {
    this.host = host;
    this.#target = target;
    this.#plainRate = bytesPerSecond;
    this.#rate = bytesPerSecond;
  }

  static async start(options: ShimOptions): Promise<Shim> {
    const shim = new Shim(options);
    await shim.listen();
    return shim;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes that came for `direction` so far. */
  passed(direction: Direction): number {
    return this.#passed[direction];
  }

  /** Settles when no connection is open any more, or after `limitMs`. */
  async idle(limitMs: number): Promise<void> {
    const limit = new AbortController();
    const ended = Promise.all([...this.#connections].map(({ closed }) => closed));
    await Promise.race([ended, pause(limitMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
  }

  /** From now on none of these may come by; what is cut in two by reads is not looked for. */
  watchFor(secrets: readonly Buffer[]): void {
    this.#secrets = secrets;
  }

  /** Arms `strike` for the moment at which byte number `at`, from 0, is about to pass. */
  arm(direction: Direction, at: number, strike: Strike): void {
    this.#armed[direction].push({ at, strike });
    this.#armed[direction].sort((one, other) => one.at - other.at);
  }

  /** Sets another rate; without one, back to that of the start. */
  pace(bytesPerSecond: number = this.#plainRate): void {
    this.#rate = bytesPerSecond;
    this.#freeAt.forward = 0;
    this.#freeAt.back = 0;
  }

  /** Nothing passes any more, and new connections lead nowhere, until `heal`. */
  lose(how: Loss): void {
    this.#loss = how;
  }

  /** Takes new connections, on the port of the first time. */
  async listen(): Promise<void> {
    if (this.#server) return;
    const server = net.createServer({ allowHalfOpen: true }, (near) => this.#accept(near));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host: this.host, port: this.#port }, resolve);
    });
    this.#port = (server.address() as net.AddressInfo).port;
  }

  /** Refuses new connections, as a machine does on which nobody listens; those that are open go on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Ends every fault: rate, delay, and the loss with the connections that it caught. */
  heal(): void {
    this.pace();
    this.delayMs = 0;
    for (const direction of ['forward', 'back'] as const) this.#armed[direction].length = 0;
    if (this.#loss) for (const connection of this.#connections) connection.reset();
    this.#loss = undefined;
  }

  close(): void {
    this.refuse();
    for (const connection of this.#connections) connection.reset();
  }

  #accept(near: net.Socket): void {
    // While everything is lost nobody is there to dial on; the reset comes with `heal`.
    const far = this.#loss ? undefined : net.connect({ ...this.#target, allowHalfOpen: true });
    if (this.#loss === 'swallow') near.resume();
    const connection = new Connection(near, far, {
      pass: (direction, chunk) => this.#pass(direction, chunk, connection),
      isLost: () => this.#loss !== undefined,
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  async #pass(direction: Direction, chunk: Buffer, connection: Connection): Promise<void> {
    for (const secret of this.#secrets)
      if (chunk.includes(secret)) this.exposed.push(`${direction}: ${secret.toString('latin1', 0, 16)}`);
    for (let at = 0; at < chunk.length && !connection.isBroken; ) {
      const most = this.#rate === 0 ? chunk.length : Math.max(minSliceBytes, (this.#rate * sliceMs) / 1000);
      const slice = chunk.subarray(at, at + most);
      at += slice.length;
      await this.#wait(direction, slice.length);
      await this.#passSlice(direction, slice, connection);
    }
  }

  async #passSlice(direction: Direction, slice: Buffer, connection: Connection): Promise<void> {
    let rest = slice;
    while (!(await this.#isLost(connection))) {
      const passed = this.#passed[direction];
      const [due] = this.#armed[direction];
      if (!due || due.at >= passed + rest.length) {
        this.#passed[direction] += rest.length;
        return connection.send(direction, rest, this.delayMs);
      }
      this.#armed[direction].shift();
      const before = Math.max(0, due.at - passed);
      this.#passed[direction] += before;
      await connection.send(direction, rest.subarray(0, before), this.delayMs);
      rest = await due.strike(rest.subarray(before), connection);
    }
  }

  /** True if what came goes nowhere; a stalled connection is not read again before it is reset. */
  async #isLost(connection: Connection): Promise<boolean> {
    if (this.#loss === 'stall') await connection.closed;
    return this.#loss !== undefined || connection.isBroken;
  }

  async #wait(direction: Direction, bytes: number): Promise<void> {
    if (this.#rate === 0) return;
    const now = performance.now();
    const free = Math.max(this.#freeAt[direction], now - burstMs) + (bytes / this.#rate) * 1000;
    this.#freeAt[direction] = free;
    if (free > now + 1) await new Promise((resolve) => setTimeout(resolve, free - now));
  }
}
