/**
 * The original programs, as they were: one `recv` of up to 1,024 bytes a step, nothing put together again.
 *
 * Unread bytes at a close make a reset, as they do in the kernel; bytes that
 * Node has read ahead of the program count as unread.
 */

import net from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningNode } from '../../src/index.ts';
import { startPeer } from './chain.ts';

const recvBytes = 1024;

/** A socket with the calls of the BSD interface; each rejects once the connection was reset. */
export class BlockingSocket {
  readonly #socket: net.Socket;
  #failure: Error | undefined;
  #wake = () => {};

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#failure = error;
    });
    for (const event of ['readable', 'end', 'close', 'error']) socket.on(event, () => this.#wake());
  }

  static connect(host: string, port: number): Promise<BlockingSocket> {
    const socket = net.connect({ host, port, allowHalfOpen: true });
    return new Promise((resolve, reject) => {
      socket.once('error', reject).once('connect', () => {
        socket.off('error', reject);
        resolve(new BlockingSocket(socket));
      });
    });
  }

  /** At most `maxBytes` of what is there, or nothing at the end of the stream. */
  async recv(maxBytes = recvBytes): Promise<Buffer> {
    for (;;) {
      const bytes: Buffer | null = this.#socket.read();
      if (bytes !== null) {
        if (bytes.length > maxBytes) this.#socket.unshift(bytes.subarray(maxBytes));
        return bytes.subarray(0, maxBytes);
      }
      if (this.#failure) throw this.#failure;
      if (this.#socket.readableEnded || this.#socket.destroyed) return Buffer.alloc(0);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(bytes: Buffer | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    if (this.#socket.readableLength > 0) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}

/** What one original does differently from the usual one. */
export interface Habits {
  /** The server dies, as a killed process does, once it has sent so many bytes of content. */
  readonly dieAfter?: number;
  /** The size is sent in two segments. */
  readonly splitSize?: boolean;
  /** For an empty file the server sends the size and ends without waiting to be asked. */
  readonly endAtZero?: boolean;
  /** What is no request ends its thread, but the program still holds the connection. @default false */
  readonly holdsNonsense?: boolean;
}

export interface OriginalNode {
  readonly port: number;
  readonly address: string;
  /** The requests that came, as they came. */
  readonly requests: string[];
}

/** Starts an original: the server of `files` or a proxy, depending on the request. */
export async function startOriginal(
  t: TestContext,
  files: ReadonlyMap<string, Buffer>,
  habits: Habits = {},
): Promise<OriginalNode> {
  const requests: string[] = [];
  const serve = async (client: BlockingSocket) => {
    const request = (await client.recv()).toString();
    requests.push(request);
    const lines = request.split('\n');
    if (lines.length === 2) await serveFile(client, files.get(lines[0] ?? ''), habits);
    else await passOn(client, lines);
  };
  const peer = await startPeer(t, (socket) => {
    const client = new BlockingSocket(socket);
    // A reset ends the program's thread, and with it the sockets that it held.
    void serve(client).catch(() => habits.holdsNonsense || client.close());
  });
  return { ...peer, requests };
}

async function serveFile(client: BlockingSocket, content: Buffer | undefined, habits: Habits): Promise<void> {
  if (!content) {
    await client.send('NA');
    return client.close();
  }
  const size = String(content.length);
  if (habits.splitSize) {
    await client.send(size.slice(0, 1));
    await sleep(10);
    await client.send(size.slice(1));
  } else {
    await client.send(size);
  }
  if (habits.endAtZero && content.length === 0) return client.close();
  await client.recv(4);
  const end = Math.min(content.length, habits.dieAfter ?? content.length);
  for (let at = 0; at < end; at += recvBytes) await client.send(content.subarray(at, Math.min(end, at + recvBytes)));
  client.close();
}

async function passOn(client: BlockingSocket, lines: readonly string[]): Promise<void> {
  const onward = [lines[0], ...lines.slice(2)];
  const [host = '', port] = (onward[1] ?? '').split(' ');
  const server = await BlockingSocket.connect(host, Number(port)).catch(() => undefined);
  if (!server) {
    await client.send('Address not found');
    return client.close();
  }
  try {
    await server.send(onward.join('\n'));
    await client.send(await server.recv());
    await server.send(await client.recv(4));
    for (let block = await server.recv(); block.length > 0; block = await server.recv()) await client.send(block);
    await client.recv(4);
    client.close();
  } finally {
    server.close();
  }
}

export interface OriginalDownload {
  /** What came where the size was due. */
  readonly answer: string;
  readonly content: Buffer;
}

/** Runs the original client with the text of its input file; content may be short of the size, as it did not look. */
export async function runOriginalClient(text: string): Promise<OriginalDownload> {
  const [host = '', port] = (text.split('\n')[1] ?? '').trim().split(' ');
  const socket = await BlockingSocket.connect(host, Number(port));
  try {
    await socket.send(text);
    const answer = (await socket.recv()).toString();
    if (!/^\d+$/.test(answer)) return { answer, content: Buffer.alloc(0) };
    return { answer, content: await receiveContent(socket, Number(answer)) };
  } finally {
    socket.close();
  }
}

async function receiveContent(socket: BlockingSocket, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let left = size;
  try {
    await socket.send('ack_to_send');
    while (left > 0) {
      const part = await socket.recv();
      if (part.length === 0) break;
      parts.push(part);
      left -= part.length;
    }
    await socket.send('close');
  } catch {
    // A reset: what came before it is what the user has.
  }
  return Buffer.concat(parts);
}

/** The text of an original input file. */
export function inputText(name: string, hops: readonly { readonly port: number }[]): string {
  return [name, ...hops.map(({ port }) => `127.0.0.1 ${port}`)].join('\n');
}

/** Waits, for a few seconds at most, until no node holds a connection and this process no TCP socket. */
export async function settled(nodes: readonly RunningNode[]): Promise<string> {
  const held = () => {
    const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    return `${nodes.map((node) => node.stats().open).join()} open, ${sockets} sockets`;
  };
  const none = `${nodes.map(() => 0).join()} open, 0 sockets`;
  for (let left = 300; left > 0 && held() !== none; left -= 1) await sleep(10);
  return held() === none ? 'nothing is left' : held();
}
