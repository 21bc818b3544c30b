/**
 * The original programs of the JSON family, as they were, down to how they die.
 *
 * What they have of the originals: every field is written as text; the front compares `type` with the text "1" and "0",
 * keeps its table by the exact value of the policy, and drops anything else without a word. The server has one lock, which
 * it takes when it accepts a connection and gives back when that ends; in between it reads `srcid` and `payload` of each
 * packet without asking whether they are there, and where they are not, or what came is not one whole object, its thread
 * ends with the lock held: it answers nobody any more. One `recv` of at most 2,048 bytes is one packet; nothing is put
 * together again. Once a second the front connects to each of its servers and forgets one that refuses.
 */

import { createHash } from 'node:crypto';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { startPeer } from './chain.ts';
import { BlockingSocket } from './classic-peers.ts';

const recvBytes = 2048;
const checkMs = 1000;

export interface Habits {
  /** Goes on with the same connection until that ends; without it, each connection ends after its answer. */
  readonly loops?: boolean;
}

export interface OriginalServer {
  readonly port: number;
  readonly id: number;
  /** Payloads of the messages that came. */
  readonly payloads: string[];
  /** Connections that were accepted. */
  readonly connections: () => number;
  /** Whether a packet has ended its thread with the lock held. */
  readonly isDead: () => boolean;
}

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

/** Starts an original server; it does not register by itself. */
export async function startOriginalServer(t: TestContext, id: number, habits: Habits = {}): Promise<OriginalServer> {
  const payloads: string[] = [];
  let connections = 0;
  let isDead = false;
  let lock = Promise.resolve();
  const answer = (received: string) => {
    const packet = JSON.parse(received);
    if (!('srcid' in packet) || typeof packet.payload !== 'string') throw new Error('KeyError, or no text to hash');
    payloads.push(packet.payload);
    const hash = sha1(packet.payload);
    const fields = { type: '2', srcid: String(id), destid: packet.srcid, payloadsize: String(hash.length) };
    return JSON.stringify({ ...fields, payload: hash });
  };
  const serve = async (client: BlockingSocket) => {
    connections += 1;
    do {
      const received = (await client.recv(recvBytes)).toString();
      if (received === '') break;
      let packet: string;
      try {
        packet = answer(received);
      } catch {
        isDead = true;
        // The lock is never given back.
        return new Promise<void>(() => {});
      }
      await client.send(packet);
    } while (habits.loops);
    client.close();
  };
  const peer = await startPeer(t, (socket) => {
    const client = new BlockingSocket(socket);
    lock = lock.then(() => serve(client)).catch(() => client.close());
  });
  return { port: peer.port, id, payloads, connections: () => connections, isDead: () => isDead };
}

/** Registers a server as it does itself: one send, and gone. */
export async function registerOriginal(
  server: { readonly port: number; readonly id: number },
  policy: string,
  frontPort: number,
): Promise<void> {
  const front = await BlockingSocket.connect('127.0.0.1', frontPort);
  const setup = { type: '1', id: String(server.id), privPoliId: policy, listenport: String(server.port) };
  await front.send(JSON.stringify(setup));
  front.close();
}

export interface OriginalAnswer {
  readonly packet: Record<string, unknown>;
  readonly isCorrect: boolean;
}

/**
 * Runs the original client: sends each message and takes what one `recv` gives as its answer. What it sends is what stands
 * in its packet file, and people write numbers there too: `asNumbers`.
 */
export async function runOriginalPacketClient(
  port: number,
  messages: readonly { readonly policy: string | number; readonly payload: string }[],
  { asNumbers = false } = {},
): Promise<OriginalAnswer[]> {
  const written = (value: number) => (asNumbers ? value : String(value));
  const socket = await BlockingSocket.connect('127.0.0.1', port);
  const answers: OriginalAnswer[] = [];
  for (const { policy, payload } of messages) {
    const message = { type: written(0), srcid: written(5), privPoliId: policy, payloadsize: written(payload.length) };
    await socket.send(JSON.stringify({ ...message, payload }));
    const received = (await socket.recv(recvBytes)).toString();
    const packet = JSON.parse(received);
    answers.push({ packet, isCorrect: packet.payload === sha1(payload) });
  }
  socket.close();
  return answers;
}

export interface OriginalFront {
  readonly port: number;
  /** The ports of the servers of each policy, as they were written, in the order in which they registered. */
  readonly table: Map<string, string[]>;
}

/** Starts an original front: a connection for each message that it passes on. */
export async function startOriginalFront(t: TestContext): Promise<OriginalFront> {
  const table = new Map<string, string[]>();
  const turns = new Map<string, number>();
  const pass = async (packet: Record<string, unknown>, received: string): Promise<Buffer | string> => {
    const policy = JSON.stringify(packet.privPoliId);
    const ports = table.get(policy) ?? [];
    const turn = turns.get(policy) ?? 0;
    turns.set(policy, turn + 1);
    const port = ports[turn % ports.length];
    if (port === undefined) return JSON.stringify({ ...packet, type: '-1' });
    const server = await BlockingSocket.connect('127.0.0.1', Number(port));
    await server.send(received);
    const answer = await server.recv(recvBytes);
    server.close();
    return answer;
  };
  const serve = async (client: BlockingSocket) => {
    for (;;) {
      const received = (await client.recv(recvBytes)).toString();
      if (received === '') break;
      const packet = JSON.parse(received);
      if (packet.type === '1') {
        const policy = JSON.stringify(packet.privPoliId ?? packet.privPolyId);
        table.set(policy, [...(table.get(policy) ?? []), packet.listenport]);
      } else if (packet.type === '0') await client.send(await pass(packet, received));
    }
    client.close();
  };
  const check = async () => {
    for (const [policy, ports] of table) {
      const isUp = await Promise.all(ports.map((port) => isListening(Number(port))));
      if (isUp.every(Boolean)) continue;
      const up = ports.filter((_port, index) => isUp[index]);
      table.set(policy, up);
      turns.set(policy, 0);
    }
  };
  const checking = setInterval(() => void check(), checkMs);
  t.after(() => clearInterval(checking));
  const peer = await startPeer(t, (socket) => {
    const client = new BlockingSocket(socket);
    void serve(client).catch(() => client.close());
  });
  return { port: peer.port, table };
}

/** Whether somebody listens on a port of this machine. */
export function isListening(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port });
  return new Promise((resolve) => {
    const done = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}
