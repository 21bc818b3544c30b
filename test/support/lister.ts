/** An origin that says whatever a test wants lies in its directories. */

import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { decodeRequest, encodeMessage, type Request } from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import { startPeer } from './chain.ts';
import { rawFrame } from './decoding.ts';

export const top = { kind: 'directory', path: '', mode: 0o755, mtimeNs: '0' };

export function folder(name: string): object {
  return { ...top, path: name };
}

export function inside(name: string, fields: object = {}): object {
  return { kind: 'file', path: name, size: 1, mode: 0o644, mtimeNs: '0', ...fields };
}

interface Lister {
  readonly address: string;
  /** How often it was asked for a listing. */
  readonly asked: () => number;
}

/** Answers each LIST, the how-manieth from 1, with its entries, and breaks off behind them where `breaksOff` says so. */
export async function startLister(
  t: TestContext,
  entries: readonly object[] | ((time: number) => readonly object[]),
  breaksOff: (time: number) => boolean = () => false,
): Promise<Lister> {
  let asked = 0;
  const answer = (socket: Socket, { type }: Request) => {
    if (type === 'ping') socket.write(encodeMessage({ type: 'pong', software: 'hostile' }));
    if (type !== 'list') return;
    asked += 1;
    // In two frames, as a long one would come.
    const [first, ...rest] = typeof entries === 'function' ? entries(asked) : entries;
    if (first) socket.write(rawFrame(JSON.stringify({ type: 'listing', entries: [first], last: false })));
    const last = !breaksOff(asked);
    socket.write(rawFrame(JSON.stringify({ type: 'listing', entries: rest, last })));
    if (!last) socket.end();
  };
  const peer = await startPeer(t, (socket) => {
    let received = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const open = decodeOpen(received, 65_536);
      const request = open.kind === 'ok' ? decodeRequest(received.subarray(open.used), 65_536) : open;
      if (request.kind !== 'ok') return;
      received = Buffer.alloc(0);
      answer(socket, request.value);
    });
  });
  return { address: peer.address, asked: () => asked };
}
