/**
 * The content of an answer out of a file: inside the kernel where the connection is plain TCP, by large reads elsewhere.
 *
 * Owns the bytes between the head of an answer and its end, and nothing else: head
 * and end are Node's, so that answers keep their order and the connection goes on behind them.
 * Invariant: all of the range has left, or it throws, and the connection is to be broken.
 * How the kernel path works: docs/kernel-path.md
 */

import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { HoplineError } from '../../core/errors.ts';
import type { FileBody } from '../../http/exchange.ts';
import { readBlocks } from '../../io/disk/reading/read-blocks.ts';
import { unreadable } from '../../io/disk/reading/versioned-file.ts';
import type { KernelEngine } from '../../io/kernel/engine.ts';
import { descriptorOf, restartTimeout } from '../../io/legs/descriptor.ts';

/** Below this, a copy is cheaper than the calls around a range that leaves inside the kernel. */
const minKernelBytes = 64 * 1024;

/** Two of these are held for each answer that is read into the process. */
const blockBytes = 256 * 1024;

/** What it needs of the kernel path. */
export type FileKernel = Pick<KernelEngine, 'duplicate' | 'openSender'>;

/** Told of each part of the content that has been given to the system to send. */
type OnSent = (bytes: number) => void;

/** Sends a range, whose head has been written. Throws `PEER_LOST`, `FILE_CHANGED`, `FILE_UNREADABLE`. */
export async function sendFileContent(
  response: ServerResponse,
  range: FileBody,
  kernel: FileKernel | undefined,
  onSent: OnSent,
): Promise<void> {
  const sender = kernel && range.length >= minKernelBytes ? await openSender(response, kernel) : undefined;
  if (!sender) return sendRead(response, range, onSent);
  const close = () => sender.close();
  response.once('close', close);
  try {
    const { handle: file, offset, length } = range;
    const onSlice = (bytes: number) => {
      onSent(bytes);
      // Node sees nothing of what leaves, and would take the connection for a silent one.
      if (response.socket) restartTimeout(response.socket);
    };
    const sent = await sender.send({ file, offset, length }, onSlice);
    if (sent < length) throw cut();
  } finally {
    response.off('close', close);
    sender.close();
  }
}

/** What sends files inside the kernel, once it is this answer's turn and its head has left; undefined where there is no such way. */
async function openSender(response: ServerResponse, kernel: FileKernel) {
  // Without a length, what is sent would have to be in chunks.
  if (response.chunkedEncoding) return undefined;
  response.flushHeaders();
  if (!response.socket) await settled(response, (done) => response.once('socket', done));
  const { socket } = response;
  if (!(socket instanceof Socket) || socket instanceof TLSSocket) return undefined;
  await settled(response, (done) => socket.write('', done));
  const own = kernel.duplicate(descriptorOf(socket));
  return own && kernel.openSender(own, 'the client');
}

/** One block is read while the other one leaves. */
async function sendRead(response: ServerResponse, { handle, ...range }: FileBody, onSent: OnSent): Promise<void> {
  const blocks = [0, 1].map(() => Buffer.allocUnsafeSlow(Math.min(blockBytes, range.length))) as [Buffer, Buffer];
  const next = () => blocks.reverse()[0] as Buffer;
  let sent = 0;
  let leaving: Promise<void> = Promise.resolve();
  try {
    for await (const block of readBlocks(handle, range, next)) {
      await leaving;
      leaving = settled(response, (done) => response.write(block, done));
      leaving.catch(() => {});
      onSent(block.length);
      sent += block.length;
    }
  } catch (error) {
    throw error instanceof HoplineError ? error : unreadable(error);
  }
  await leaving;
  if (sent < range.length) throw cut();
}

/** Settles when `begin` says so, and throws if the client is gone before. */
function settled(response: ServerResponse, begin: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (cause?: unknown) => {
      reject(new HoplineError('PEER_LOST', 'the client left before the end of its answer', { cause }));
    };
    if (response.destroyed) return leave();
    response.once('close', leave);
    begin((error) => {
      response.off('close', leave);
      if (error instanceof Error) leave(error);
      else resolve();
    });
  });
}

function cut(): HoplineError {
  return new HoplineError('FILE_CHANGED', 'the file was cut while it was sent');
}
