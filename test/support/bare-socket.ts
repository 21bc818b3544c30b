/** A listening socket that nobody accepts on, as a service manager has one: Node's own would take what comes. Linux only. */

import { closeSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { loadKoffi } from '../../src/io/kernel/libc.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;

/** On loopback at a free port; closed when the test ends, if it still is open. */
export function openBareSocket(t: TestContext): { readonly fd: number; readonly port: number } {
  const libc = loadKoffi().load(null);
  const fd = libc.func('int socket(int family, int kind, int protocol)')(AF_INET, SOCK_STREAM, 0);
  t.after(() => closeSync(fd));
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET);
  address.set([127, 0, 0, 1], 4);
  const calls = [
    libc.func('int bind(int fd, void *address, uint32_t length)')(fd, address, address.length),
    libc.func('int listen(int fd, int backlog)')(fd, 16),
    libc.func('int getsockname(int fd, void *address, void *length)')(fd, address, Int32Array.of(address.length)),
  ];
  if (calls.some((result) => result < 0)) throw new Error(`no socket: ${calls}`);
  return { fd, port: address.readUInt16BE(2) };
}
