/** A machine between two neighbours that does something to the bytes it passes on. */

import net from 'node:net';
import type { TestContext } from 'node:test';
import { startPeer } from './chain.ts';

const recordByte = 0xfe;

/** What becomes of bytes that came by; null cuts the connection. */
export type Change = (bytes: Buffer) => Buffer | null;

interface Changes {
  readonly forward?: Change;
  readonly back?: Change;
}

/**
 * Passes bytes on to `port` and back, each direction through its change; resolves to its own address. A function makes changes
 * anew for each connection.
 */
export async function startTamperer(t: TestContext, port: number, changes: Changes | (() => Changes)): Promise<string> {
  const peer = await startPeer(t, (near) => {
    const { forward = asTheyAre, back = asTheyAre } = typeof changes === 'function' ? changes() : changes;
    const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const pass = (from: net.Socket, to: net.Socket, change: Change) => {
      from.on('data', (bytes: Buffer) => {
        const passed = change(bytes);
        if (passed) to.write(passed);
        else near.destroy();
      });
    };
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('end', () => far.end()).on('close', () => far.destroy());
    pass(near, far, forward);
    pass(far, near, back);
  });
  return peer.address;
}

/** Flips one bit at each of `places`, counted in bytes that came by. */
export function flipAt(places: readonly number[]): Change {
  let passed = 0;
  return (bytes) => {
    for (const place of places) {
      const index = place - passed;
      if (index >= 0 && index < bytes.length) flip(bytes, index);
    }
    passed += bytes.length;
    return bytes;
  };
}

/** Has each whole record of an encrypted circuit altered, counted from 0 on a connection; null cuts it. Frames in plain pass. */
export function byRecord(alter: (record: Buffer, index: number) => readonly Buffer[] | null): Change {
  let held: Buffer = Buffer.alloc(0);
  let index = 0;
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    const passed: Buffer[] = [];
    for (let end = wholeLength(held); end <= held.length; end = wholeLength(held)) {
      const whole = Buffer.from(held.subarray(0, end));
      held = held.subarray(end);
      const parts = whole[0] === recordByte ? alter(whole, index++) : [whole];
      if (!parts) return null;
      passed.push(...parts);
    }
    return Buffer.concat(passed);
  };
}

/** Of the record or frame that bytes begin with; more than any, if its head is not all there. */
function wholeLength(bytes: Buffer): number {
  const head = bytes[0] === recordByte ? 8 : 12;
  return bytes.length < head ? Number.POSITIVE_INFINITY : head + bytes.readUInt32BE(4);
}

export function flip(bytes: Buffer, index: number): void {
  bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index);
}

function asTheyAre(bytes: Buffer): Buffer {
  return bytes;
}
