/**
 * connect(2), with the options that legs have.
 *
 * Owns the shape of the system's addresses, and what is set for a connection. Does not know how it goes on.
 */

import { constants } from 'node:os';
import { IPPROTO_TCP, O_CLOEXEC, O_NONBLOCK, SOL_SOCKET, TCP_USER_TIMEOUT } from '../numbers.ts';

/** Of silence, before the system asks a peer whether it is still there. */
export const keepAliveDelayMs = 15_000;

/** Begins a connection that never blocks: its descriptor, or an errno, negated. It is writable once it is known how that went. */
export type Connect = (address: string, port: number, userTimeoutMs?: number) => number;

/** The C library, and what makes a negated errno of a failed call. */
interface Library {
  func(declaration: string): (...parameters: unknown[]) => number;
}
type Told = (result: number) => number;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SO_KEEPALIVE = 9;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
/** The last two are Node's. */
const legOptions = [
  [IPPROTO_TCP, TCP_NODELAY, 1],
  [SOL_SOCKET, SO_KEEPALIVE, 1],
  [IPPROTO_TCP, TCP_KEEPIDLE, keepAliveDelayMs / 1000],
  [IPPROTO_TCP, TCP_KEEPINTVL, 1],
  [IPPROTO_TCP, TCP_KEEPCNT, 10],
] as const;

export function bindConnect(library: Library, told: Told): Connect {
  const socket = library.func('int socket(int family, int type, int protocol)');
  const connect = library.func('int connect(int fd, void *address, uint32_t length)');
  const setsockopt = library.func('int setsockopt(int fd, int level, int name, void *value, int length)');
  const close = library.func('int close(int fd)');
  const inetPton = library.func('int inet_pton(int family, const char *text, void *address)');
  const option = new Int32Array(1);
  const set = (fd: number, level: number, name: number, value: number) => {
    option[0] = value;
    setsockopt(fd, level, name, option, option.byteLength);
  };
  return (text, port, userTimeoutMs) => {
    const [family, addressAt, length] = text.includes(':') ? [AF_INET6, 8, 28] : [AF_INET, 4, 16];
    const address = new Uint8Array(length);
    // The family in the machine's order of bytes, the port in the network's.
    new Uint16Array(address.buffer)[0] = family;
    new DataView(address.buffer).setUint16(2, port);
    if (inetPton(family, text, address.subarray(addressAt)) !== 1) return -constants.errno.EINVAL;
    const fd = told(socket(family, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0));
    if (fd < 0) return fd;
    for (const [level, name, value] of legOptions) set(fd, level, name, value);
    if (userTimeoutMs !== undefined) set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, userTimeoutMs);
    const result = told(connect(fd, address, length));
    if (result >= 0 || result === -constants.errno.EINPROGRESS) return fd;
    close(fd);
    return result;
  };
}
