/** A raw HTTP server that answers when it is told to, and takes every byte for what the framing says that it is. */

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import type { Address } from '../../src/wire/address.ts';
import { hopAt } from './http.ts';

export interface Received {
  readonly head: string;
  /** Of content, without the frames of chunks. */
  bytes: number;
  /** Whether its framing said that it was over. */
  isWhole: boolean;
}

export interface StrictOptions {
  /** When a request with content is answered: at its head, within its content, or behind it. */
  readonly when: 'before' | 'during' | 'after';
  /** What becomes of the connection behind that answer. */
  readonly then: 'close' | 'reset' | 'keep';
  readonly answer: string;
}

export interface StrictServer {
  readonly address: Address;
  /** What came, of all connections. */
  readonly requests: readonly Received[];
  /** Bytes that were no request. */
  readonly garbage: readonly string[];
  /** Connections that are open. */
  readonly open: () => number;
}

/** A request without content is answered with its target. */
export async function startStrictServer(t: TestContext, options: StrictOptions): Promise<StrictServer> {
  const sockets = new Set<net.Socket>();
  const requests: Received[] = [];
  const garbage: string[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    new StrictConnection(socket, options, requests, garbage).serve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  return { address: hopAt(port), requests, garbage, open: () => sockets.size };
}

/** A request whose content comes: `due` bytes are left of it, or of the chunk and its CRLF. */
interface Current {
  readonly received: Received;
  readonly isChunked: boolean;
  due: number;
  isAnswered: boolean;
}

class StrictConnection {
  readonly #socket: net.Socket;
  readonly #options: StrictOptions;
  readonly #requests: Received[];
  readonly #garbage: string[];
  #pending = Buffer.alloc(0);
  #current: Current | undefined;

  constructor(socket: net.Socket, options: StrictOptions, requests: Received[], garbage: string[]) {
    this.#socket = socket;
    this.#options = options;
    this.#requests = requests;
    this.#garbage = garbage;
  }

  serve(): void {
    this.#socket.on('data', (bytes: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, bytes]);
      while (this.#step());
    });
  }

  /** False if more must come first. */
  #step(): boolean {
    const current = this.#current;
    if (!current) return this.#begin();
    return current.isChunked && current.due === 0 ? this.#beginChunk(current) : this.#takeContent(current);
  }

  #begin(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#pending.toString('latin1', 0, end);
    this.#pending = this.#pending.subarray(end + 4);
    const target = /^[A-Z]+ (\/\S*) HTTP\/1\.1\r\n/.exec(head)?.[1];
    if (target === undefined) {
      this.#garbage.push(head.slice(0, 200));
      this.#socket.destroy();
      return false;
    }
    const due = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const isChunked = /^transfer-encoding: chunked$/im.test(head);
    const received = { head, bytes: 0, isWhole: !isChunked && due === 0 };
    this.#requests.push(received);
    if (received.isWhole) {
      this.#socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
      return true;
    }
    this.#current = { received, isChunked, due, isAnswered: false };
    if (this.#options.when === 'before') this.#answer();
    return true;
  }

  #beginChunk(current: Current): boolean {
    const line = this.#pending.indexOf('\r\n');
    if (line < 0) return false;
    const length = Number.parseInt(this.#pending.toString('latin1', 0, line), 16);
    if (length === 0 && this.#pending.length < line + 4) return false;
    this.#pending = this.#pending.subarray(line + (length === 0 ? 4 : 2));
    if (length === 0) this.#end(current);
    else current.due = length + 2;
    return true;
  }

  #takeContent(current: Current): boolean {
    const part = Math.min(current.due, this.#pending.length);
    if (part === 0) return false;
    const frame = current.isChunked ? Math.max(0, 2 - (current.due - part)) : 0;
    current.received.bytes += part - Math.min(frame, part);
    current.due -= part;
    this.#pending = this.#pending.subarray(part);
    if (this.#options.when === 'during') this.#answer();
    if (current.due === 0 && !current.isChunked) this.#end(current);
    return true;
  }

  #end(current: Current): void {
    current.received.isWhole = true;
    this.#answer();
    this.#current = undefined;
  }

  #answer(): void {
    if (!this.#current || this.#current.isAnswered) return;
    this.#current.isAnswered = true;
    this.#socket.write(this.#options.answer);
    if (this.#options.then === 'close') this.#socket.end();
    if (this.#options.then !== 'reset') return;
    this.#socket.pause();
    setImmediate(() => this.#socket.resetAndDestroy());
  }
}
