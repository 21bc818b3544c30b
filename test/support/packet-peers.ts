/**
 * The original packet programs, as they were: one `recv` a packet, one `send` an answer, nothing put together again.
 *
 * Two families: one writes types as numbers, keeps its connections open and
 * loops on them, one connection at a time; the other writes strings and closes after each answer.
 */

import { createHash } from 'node:crypto';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { startPeer } from './chain.ts';
import { BlockingSocket } from './classic-peers.ts';

export interface Habits {
  /** Types and ids are written as strings. */
  readonly strings?: boolean;
  /** The server goes on with the same connection until it ends, and serves no other meanwhile. */
  readonly loops?: boolean;
  readonly recvBytes?: number;
}

export interface OriginalServer {
  readonly port: number;
  readonly id: number;
  /** Payloads of the messages that came. */
  readonly payloads: string[];
  /** Whatever else came. */
  readonly others: string[];
  /** Connections that were accepted. */
  readonly connections: () => number;
}

const form = (value: number, { strings }: Habits) => (strings ? String(value) : value);
const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

/** Starts an original server; it does not register by itself. */
export async function startOriginalServer(t: TestContext, id: number, habits: Habits = {}): Promise<OriginalServer> {
  const payloads: string[] = [];
  const others: string[] = [];
  let connections = 0;
  let turn = Promise.resolve();
  const serve = async (client: BlockingSocket) => {
    connections += 1;
    do {
      const received = (await client.recv(habits.recvBytes)).toString();
      if (received === '') break;
      // One recv is one packet to it: two in one are a crash.
      const packet = JSON.parse(received);
      if (String(packet.type) !== '0') {
        others.push(received);
        continue;
      }
      payloads.push(packet.payload);
      const hash = sha1(packet.payload);
      const answer = { type: form(2, habits), srcid: form(id, habits), destid: packet.srcid, payloadsize: hash.length };
      await client.send(JSON.stringify({ ...answer, payload: hash }));
    } while (habits.loops);
    client.close();
  };
  const peer = await startPeer(t, (socket) => {
    const client = new BlockingSocket(socket);
    const served = () => serve(client).catch(() => client.close());
    if (habits.loops) turn = turn.then(served);
    else void served();
  });
  return { port: peer.port, id, payloads, others, connections: () => connections };
}

/** Registers a server as it does itself: one send, and gone. */
export async function registerOriginal(
  server: { readonly port: number; readonly id: number },
  policy: string | number,
  frontPort: number,
  habits: Habits = {},
): Promise<void> {
  const front = await BlockingSocket.connect('127.0.0.1', frontPort);
  const setup = { type: form(1, habits), id: form(server.id, habits), listenport: form(server.port, habits) };
  await front.send(JSON.stringify({ ...setup, [habits.strings ? 'privPoliId' : 'privPolyId']: policy }));
  front.close();
}

export interface OriginalAnswer {
  readonly packet: Record<string, unknown>;
  readonly isCorrect: boolean;
}

/** Runs the original client: sends each message and takes what one `recv` gives as its answer. */
export async function runOriginalPacketClient(
  port: number,
  messages: readonly { readonly policy: string | number; readonly payload: string }[],
  habits: Habits = {},
): Promise<OriginalAnswer[]> {
  const socket = await BlockingSocket.connect('127.0.0.1', port);
  const answers: OriginalAnswer[] = [];
  for (const { policy, payload } of messages) {
    const message = { type: form(0, habits), srcid: form(5, habits), privPoliId: policy, payloadsize: payload.length };
    await socket.send(JSON.stringify({ ...message, payload }));
    const received = (await socket.recv(habits.recvBytes ?? 1024)).toString();
    const packet = JSON.parse(received);
    answers.push({ packet, isCorrect: packet.payload === sha1(payload) });
  }
  socket.close();
  return answers;
}

export interface OriginalFront {
  readonly port: number;
  /** The ports of the servers of each policy, in the order in which they registered. */
  readonly table: Map<string, number[]>;
}

/** Starts an original front: a connection for each message that it passes on, and a table of exact values. */
export async function startOriginalFront(t: TestContext, habits: Habits = {}): Promise<OriginalFront> {
  const table = new Map<string, number[]>();
  const turns = new Map<string, number>();
  const serve = async (client: BlockingSocket) => {
    for (;;) {
      const received = (await client.recv(2048)).toString();
      if (received === '') break;
      const packet = JSON.parse(received);
      const policy = JSON.stringify(packet.privPoliId ?? packet.privPolyId);
      if (String(packet.type) === '1') {
        table.set(policy, [...(table.get(policy) ?? []), Number(packet.listenport)]);
        continue;
      }
      const ports = table.get(policy) ?? [];
      const turn = turns.get(policy) ?? 0;
      turns.set(policy, turn + 1);
      const port = ports[turn % ports.length];
      if (port === undefined) {
        await client.send(JSON.stringify({ ...packet, type: form(-1, habits) }));
        continue;
      }
      const server = await BlockingSocket.connect('127.0.0.1', port);
      await server.send(received);
      await client.send(await server.recv());
      server.close();
    }
    client.close();
  };
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
