/** A machine between two neighbours that does something to the bytes it passes on. */

import net from 'node:net';
import type { TestContext } from 'node:test';
import { startPeer } from './chain.ts';

/** What becomes of bytes that came by; null cuts the connection. */
export type Change = (bytes: Buffer) => Buffer | null;

/** Passes bytes on to `port` and back, each direction through its change; resolves to its own address. */
export async function startTamperer(
  t: TestContext,
  port: number,
  { forward = asTheyAre, back = asTheyAre }: { readonly forward?: Change; readonly back?: Change },
): Promise<string> {
  const peer = await startPeer(t, (near) => {
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

export function flip(bytes: Buffer, index: number): void {
  bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index);
}

function asTheyAre(bytes: Buffer): Buffer {
  return bytes;
}
