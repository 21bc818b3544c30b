/** What may be wrong between two neighbours, for one test each: lines that drop, swallow or hold back, and ports that say nothing. */

import net from 'node:net';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { decodeRequest, encodeMessage, type Request } from '../../src/wire/native/messages.ts';
import { decodeOpen, type Open } from '../../src/wire/native/open-message.ts';
import { startPeer } from './chain.ts';
import { type Change, startTamperer } from './tamper.ts';

export type Way = 'forward' | 'back';

/** A line that loses whatever comes in more than `mtu` bytes at once, as TCP sees it: nothing behind that arrives either. */
export function startBlackHole(t: TestContext, port: number, way: Way, mtu = 1400): Promise<string> {
  const swallow = (): Change => {
    let isStuck = false;
    return (bytes) => {
      isStuck ||= bytes.length > mtu;
      return isStuck ? Buffer.alloc(0) : bytes;
    };
  };
  return startTamperer(t, port, () => ({ [way]: swallow() }));
}

/** A line that passes at most `bytesPerSecond` in one direction. */
export async function startSlowLine(t: TestContext, port: number, way: Way, bytesPerSecond: number): Promise<string> {
  const peer = await startPeer(t, (near) => {
    const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('close', () => far.destroy()).on('end', () => far.end());
    const pass = (from: net.Socket, to: net.Socket, isSlow: boolean) =>
      from.on('data', (bytes: Buffer) => {
        if (!isSlow) return void to.write(bytes);
        from.pause();
        setTimeout(
          () => {
            to.write(bytes);
            from.resume();
          },
          (bytes.length * 1000) / bytesPerSecond,
        );
      });
    pass(near, far, way === 'forward');
    pass(far, near, way === 'back');
  });
  return peer.address;
}

/** A port to which every further SYN is lost, as behind a filter: its queue of connections is full, and nobody takes one. Linux alone. */
export async function startFilteredPort(t: TestContext): Promise<string> {
  const code = `
    const net = require('node:net');
    const { parentPort } = require('node:worker_threads');
    const server = net.createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    });`;
  const worker = new Worker(code, { eval: true });
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const sockets: net.Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  });
  // One that the queue has no room for stays without an answer.
  for (let isFull = false; !isFull; ) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    isFull = await new Promise((resolve) => {
      socket.once('connect', () => resolve(false));
      socket.setTimeout(200, () => resolve(true));
    });
  }
  return `127.0.0.1:${port}`;
}

/** A node of a version that knows neither probes nor what else PONG says today. */
export async function startOldNode(
  t: TestContext,
  software = 'hopline/0.0.9',
): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const pong = encodeMessage({ type: 'pong', software, roles: ['relay'], load: { open: 1, max: 9 } });
  const address = await startOddNode(t, (socket, { type }) => {
    asked.push(type);
    socket.write(pong);
  });
  return { address, asked };
}

/** A node that answers each request as a test wants it. Of what is behind requests nothing is taken. */
export async function startOddNode(
  t: TestContext,
  answer: (socket: net.Socket, request: Request) => void,
  opened: (socket: net.Socket, open: Open) => void = () => {},
): Promise<string> {
  const peer = await startPeer(t, (socket) => {
    let held: Buffer = Buffer.alloc(0);
    let isOpen = false;
    const takeOpen = () => {
      const open = decodeOpen(held, 65_536);
      if (open.kind === 'ok') opened(socket, open.value);
      return open;
    };
    const takeRequest = () => {
      const request = decodeRequest(held, 65_536);
      if (request.kind === 'ok') answer(socket, request.value);
      return request;
    };
    const take = () => {
      const taken = isOpen ? takeRequest() : takeOpen();
      if (taken.kind !== 'ok') return false;
      isOpen = true;
      held = held.subarray(taken.used);
      return true;
    };
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      while (take());
    });
    socket.on('end', () => socket.end());
  });
  return peer.address;
}
