/**
 * The few calls of the C library that Node does not offer, through koffi where it loads.
 *
 * Owns the bindings. Everything here has
 * a portable path beside it: a caller that gets nothing uses that one.
 * Functions are bound once in a process: it takes longer than a short transfer.
 * Invariant: a call of C never throws; a failure is its errno, negated as the kernel does.
 */

import { createRequire } from 'node:module';
import { constants, type } from 'node:os';
import { once } from '../once.ts';
import { bindConnect, type Connect } from './dialling/begin-connection.ts';
import { IPPROTO_TCP, O_CLOEXEC, O_NONBLOCK, SOL_SOCKET, TCP_USER_TIMEOUT } from './numbers.ts';
import { bindPoll, type LoopHandle, type Poll } from './watches.ts';

type Foreign = ((...parameters: unknown[]) => number) & { async(...parameters: unknown[]): void };

interface Koffi {
  load(library: string | null): { func(declaration: string): Foreign };
  errno(): number;
  address(memory: Buffer): bigint;
  node: { poll(fd: number, callback: () => void): LoopHandle };
}

/** Each call returns what the C function does, or its errno negated. */
export interface Libc {
  splice(from: number, to: number, bytes: number): number;
  /** With `more`, what follows at once may leave in the same segment. */
  send(fd: number, bytes: Buffer, more?: boolean): number;
  /** Sends a range of a file to a socket; fewer bytes when the socket is full or the file ends. */
  sendFile(socket: number, file: number, offset: number, bytes: number): number;
  /** Reads what memory has of a file from `position` on; fewer bytes, or EAGAIN, where the disk would have to be waited for. */
  readCached(file: number, bytes: Buffer, position: number): number;
  /** Takes what has arrived on a socket, without waiting: how many bytes, 0 at the end of the stream. */
  receive(fd: number, memory: Buffer): number;
  /** 1 where a byte has arrived, which stays there, and 0 where the end has. */
  peek(fd: number): number;
  /** How many bytes have to have arrived on a socket before it counts as readable, or its end. */
  setReceiveMark(fd: number, bytes: number): number;
  /** A pipe that never blocks: its reading and its writing end, or an errno. */
  pipe(): { readonly out: number; readonly into: number } | number;
  setPipeBytes(fd: number, bytes: number): number;
  duplicate(fd: number): number;
  readonly connect: Connect;
  /** Whether a connection that was begun has come to be. */
  isConnected(fd: number): boolean;
  close(fd: number): number;
  /** Sends the end of the stream. */
  shutdownWrites(fd: number): number;
  /** Makes the next `close` a reset. */
  resetOnClose(fd: number): number;
  /** The failure of a socket that has not been told yet, as a positive errno; 0 without one. */
  takeError(fd: number): number;
  /** Watches a descriptor on the event loop, once each. Throws where that cannot be. */
  readonly poll: Poll;
}

/** The calls for files; each is missing where it cannot be made. */
export interface DiskCalls {
  /** Reserves the first `bytes` of the open file; resolves to 0 or to an errno. */
  readonly fallocate?: (fd: number, bytes: number) => Promise<number>;
  /** Gives a range of the open file back to the disk, which then reads as zeros; resolves to 0 or to an errno. */
  readonly deallocate?: (fd: number, position: number, bytes: number) => Promise<number>;
  /** Locks the open file until it is closed; false if someone else has it open and locked. */
  readonly lock?: (fd: number) => boolean;
  /** Sets the time of the last change, in nanoseconds since 1970; false if that failed. */
  readonly setModifiedNs?: (fd: number, timeNs: bigint) => boolean;
}

/** Lets the system give up a connection whose peer has not acknowledged anything for so long, in milliseconds. */
export type SetUserTimeout = (fd: number, ms: number) => void;

const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
const RWF_NOWAIT = 8;
const SHUT_WR = 1;
const SO_ERROR = 4;
const SO_LINGER = 13;
const SO_RCVLOWAT = 18;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const LOCK_EX = 2;
const LOCK_NB = 4;
const UTIME_OMIT = 0x3ffffffen;
const secondNs = 1_000_000_000n;
// Elsewhere these numbers differ, or nobody has tried.
const knownMachines: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64'];

/** The calls of the kernel path. Throws, with the reason as its message, where they cannot be made. */
export const loadLibc = once((): Libc => {
  if (process.platform !== 'linux') throw new Error(`${type()} has no splice`);
  if (!knownMachines.includes(process.arch)) throw new Error(`it is not built for ${process.arch}`);
  const koffi = loadKoffi();
  const libc = koffi.load(null);
  const told = (result: number) => (result < 0 ? -(koffi.errno() || constants.errno.EIO) : result);

  // The pointers are always null, and an integer is cheaper to pass; likewise ssize_t, which koffi does not know.
  const splice = libc.func('intptr_t splice(int from, intptr_t at, int to, intptr_t at2, size_t length, int flags)');
  const send = libc.func('intptr_t send(int fd, void *bytes, size_t length, int flags)');
  const recv = libc.func('intptr_t recv(int fd, void *memory, size_t length, int flags)');
  const sendfile = libc.func('intptr_t sendfile(int to, int from, void *offset, size_t bytes)');
  const preadv2 = libc.func('intptr_t preadv2(int fd, void *vector, int count, int64_t position, int flags)');
  const pipe2 = libc.func('int pipe2(void *fds, int flags)');
  const fcntl = libc.func('int fcntl(int fd, int command, int value)');
  const close = libc.func('int close(int fd)');
  const shutdown = libc.func('int shutdown(int fd, int how)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, int length)');
  const getsockopt = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');

  const getpeername = libc.func('int getpeername(int fd, void *address, void *length)');

  const pair = new Int32Array(2);
  const place = new BigInt64Array(1);
  /** One struct iovec. */
  const vector = new BigUint64Array(2);
  const linger = Int32Array.of(1, 0);
  const errorValue = new Int32Array(1);
  const errorLength = Int32Array.of(4);
  const single = Buffer.alloc(1);
  const mark = new Int32Array(1);
  const address = new Int32Array(1);
  const addressLength = new Int32Array(1);

  return {
    splice: (from, to, bytes) => told(splice(from, 0, to, 0, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)),
    send: (fd, bytes, more = false) =>
      told(send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0))),
    sendFile: (socket, file, offset, bytes) => {
      place[0] = BigInt(offset);
      return told(sendfile(socket, file, place, bytes));
    },
    readCached: (file, bytes, position) => {
      vector[0] = koffi.address(bytes);
      vector[1] = BigInt(bytes.length);
      return told(preadv2(file, vector, 1, position, RWF_NOWAIT));
    },
    receive: (fd, memory) => told(recv(fd, memory, memory.length, MSG_DONTWAIT)),
    peek: (fd) => told(recv(fd, single, 1, MSG_PEEK | MSG_DONTWAIT)),
    setReceiveMark: (fd, bytes) => {
      mark[0] = bytes;
      return told(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, mark, mark.byteLength));
    },
    pipe: () => {
      const result = told(pipe2(pair, O_NONBLOCK | O_CLOEXEC));
      const [out, into] = pair;
      return result < 0 || out === undefined || into === undefined ? result : { out, into };
    },
    setPipeBytes: (fd, bytes) => told(fcntl(fd, F_SETPIPE_SZ, bytes)),
    duplicate: (fd) => told(fcntl(fd, F_DUPFD_CLOEXEC, 0)),
    connect: bindConnect(libc, told),
    isConnected: (fd) => {
      addressLength[0] = address.byteLength;
      return getpeername(fd, address, addressLength) === 0;
    },
    close: (fd) => told(close(fd)),
    shutdownWrites: (fd) => told(shutdown(fd, SHUT_WR)),
    resetOnClose: (fd) => told(setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.byteLength)),
    takeError: (fd) => {
      const result = getsockopt(fd, SOL_SOCKET, SO_ERROR, errorValue, errorLength);
      return result < 0 ? 0 : (errorValue[0] ?? 0);
    },
    poll: bindPoll(libc, told, (fd, turn) => koffi.node.poll(fd, turn)),
  };
});

/** Linux's fallocate(2), flock(2) and futimens(3), or nothing. */
export const loadDiskCalls = once((): DiskCalls => {
  if (process.platform !== 'linux') return {};
  try {
    const koffi = loadKoffi();
    const libc = koffi.load(null);
    // posix_fallocate would do, but it writes zeros where the file system cannot reserve, and that takes minutes.
    const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
    const flock = libc.func('int flock(int fd, int operation)');
    const futimens = libc.func('int futimens(int fd, void *times)');
    const allocate = (...parameters: [fd: number, mode: number, position: number, bytes: number]) =>
      new Promise<number>((resolve) => {
        fallocate.async(...parameters, (error: unknown, result: number) => {
          resolve(error || result !== 0 ? koffi.errno() || constants.errno.EIO : 0);
        });
      });
    const setModifiedNs = (fd: number, timeNs: bigint) => {
      const fraction = ((timeNs % secondNs) + secondNs) % secondNs;
      return futimens(fd, BigInt64Array.of(0n, UTIME_OMIT, (timeNs - fraction) / secondNs, fraction)) === 0;
    };
    return {
      // Elsewhere the structure may have another shape.
      ...(knownMachines.includes(process.arch) ? { setModifiedNs } : {}),
      fallocate: (fd, bytes) => allocate(fd, 0, 0, bytes),
      deallocate: (fd, position, bytes) => allocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, position, bytes),
      // A file system without locks is no reason to refuse a transfer.
      lock: (fd) => flock(fd, LOCK_EX | LOCK_NB) === 0 || koffi.errno() !== constants.errno.EWOULDBLOCK,
    };
  } catch {
    return {};
  }
});

/** Linux's TCP_USER_TIMEOUT, or undefined where it cannot be set. */
export const loadSetUserTimeout = once((): SetUserTimeout | undefined => {
  if (process.platform !== 'linux') return undefined;
  try {
    const declaration = 'int setsockopt(int fd, int level, int name, void *value, int length)';
    const setsockopt = loadKoffi().load(null).func(declaration);
    const value = new Int32Array(1);
    return (fd, ms) => {
      value[0] = ms;
      setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.byteLength);
    };
  } catch {
    return undefined;
  }
});

/** Whether a connection has this TCP_USER_TIMEOUT; undefined where nobody can be asked. */
export const loadHasUserTimeout = once((): ((fd: number, ms: number) => boolean) | undefined => {
  if (process.platform !== 'linux') return undefined;
  try {
    const declaration = 'int getsockopt(int fd, int level, int name, void *value, void *length)';
    const getsockopt = loadKoffi().load(null).func(declaration);
    const [value, length] = [new Int32Array(1), Int32Array.of(4)];
    return (fd, ms) => getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, length) === 0 && value[0] === ms;
  } catch {
    return undefined;
  }
});

/** Throws, with the reason as its message, where it does not load. */
export function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new Error('koffi does not load', { cause });
  }
}
