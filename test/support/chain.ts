/** Nodes on loopback for one test, in this process, closed when the test ends; a socket that survives them fails it. */

import assert from 'node:assert/strict';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { type NodeOptions, parseVia, type RoutePlan, type RunningNode, startNode } from '../../src/index.ts';

export interface Chain {
  /** In the order of the route; the last is the origin. */
  readonly nodes: readonly RunningNode[];
  /** The route to `file` through all nodes. */
  route(file: string): RoutePlan;
}

/** Starts `count` nodes that serve `root`, each on a port that the system picked. */
export async function startChain(
  t: TestContext,
  count: number,
  root: string,
  options: Partial<NodeOptions> = {},
): Promise<Chain> {
  const nodes: RunningNode[] = [];
  // So that the whole suite can be run without the kernel path.
  const kernel = process.env.HOPLINE_KERNEL !== 'off';
  t.after(async () => {
    await Promise.all(nodes.map((node) => node.close({ graceMs: 0 })));
    for (const node of nodes) assert.equal(node.stats().open, 0, 'a connection survived its node');
  });
  for (let index = 0; index < count; index += 1) {
    nodes.push(await startNode({ listen: { host: '127.0.0.1', port: 0 }, root, kernel, ...options }));
  }
  return { nodes, route: (file) => parseVia(nodes.map(addressOf).join(','), file) };
}

/** `host:port` of a node. */
export function addressOf(node: RunningNode): string {
  return `${node.address.host}:${node.address.port}`;
}

export interface Peer {
  readonly port: number;
  readonly address: string;
  /** Settles at the first connection. */
  readonly connected: Promise<unknown>;
}

/** A TCP server for one test that treats each connection as `serve` says; closed, with its connections, when the test ends. */
export async function startPeer(t: TestContext, serve: (socket: net.Socket) => void): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    serve(socket);
  });
  const connected = new Promise((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as net.AddressInfo;
  return { port, address: `127.0.0.1:${port}`, connected };
}

/** Connects to a node as a raw peer; the socket is destroyed when the test ends. */
export async function connectRaw(t: TestContext, node: RunningNode): Promise<net.Socket> {
  const socket = net.connect({ host: node.address.host, port: node.address.port, allowHalfOpen: true });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

/** Everything that a socket receives until its peer ends or resets. */
export function receiveAll(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve) => {
    const done = () => resolve(Buffer.concat(parts));
    socket.once('end', done).once('close', done);
  });
}

/** Settles once `condition` holds; fails after a minute. For what has no event that a test could await. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether nobody listens on a port of this machine any more. */
export function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
