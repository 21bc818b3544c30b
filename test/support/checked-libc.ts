/** The calls of the kernel path, made for real, with a book of every descriptor and watch that they open. */

import type { Libc } from '../../src/io/kernel/libc.ts';
import type { PollHandle } from '../../src/io/kernel/watches.ts';

export interface CheckedLibc extends Libc {
  /** Calls on what was not open, and closes in the wrong order; none of them was made. */
  readonly violations: readonly string[];
  /** Descriptors and watches that are open. */
  readonly open: number;
  /** Calls made, by their names. */
  readonly calls: ReadonlyMap<string, number>;
}

/** A call on something closed is written down instead of made: the process would not outlive some of them. */
export function checkLibc(libc: Libc): CheckedLibc {
  const open = new Set<number>();
  const watched = new Set<number>();
  const violations: string[] = [];
  const calls = new Map<string, number>();
  const wrong = (what: string) => {
    violations.push(what);
    return -9;
  };
  const guard = (name: string, fds: readonly number[], call: () => number) => {
    calls.set(name, (calls.get(name) ?? 0) + 1);
    const closed = fds.find((fd) => !open.has(fd));
    return closed === undefined ? call() : wrong(`${name} on ${closed}, which is not open`);
  };
  return {
    violations,
    calls,
    get open() {
      return open.size + watched.size;
    },
    splice: (from, to, bytes) => guard('splice', [from, to], () => libc.splice(from, to, bytes)),
    send: (fd, bytes, more) => guard('send', [fd], () => libc.send(fd, bytes, more)),
    sendFile: (socket, file, offset, bytes) =>
      guard('sendFile', [socket], () =>
        file < 0 ? wrong('sendFile from a closed file') : libc.sendFile(socket, file, offset, bytes),
      ),
    readCached: (file, bytes, position) =>
      guard('readCached', [], () =>
        file < 0 ? wrong('readCached from a closed file') : libc.readCached(file, bytes, position),
      ),
    receive: (fd, memory) => guard('receive', [fd], () => libc.receive(fd, memory)),
    peek: (fd) => guard('peek', [fd], () => libc.peek(fd)),
    setReceiveMark: (fd, bytes) => guard('setReceiveMark', [fd], () => libc.setReceiveMark(fd, bytes)),
    pipe: () => {
      const pipe = libc.pipe();
      if (typeof pipe !== 'number') for (const fd of [pipe.out, pipe.into]) open.add(fd);
      return pipe;
    },
    setPipeBytes: (fd, bytes) => guard('setPipeBytes', [fd], () => libc.setPipeBytes(fd, bytes)),
    duplicate: (fd) => {
      if (fd < 0) return wrong('duplicate of nothing');
      const own = libc.duplicate(fd);
      if (own >= 0) open.add(own);
      return own;
    },
    connect: (address, port, userTimeoutMs) => {
      calls.set('connect', (calls.get('connect') ?? 0) + 1);
      const fd = libc.connect(address, port, userTimeoutMs);
      if (fd >= 0) open.add(fd);
      return fd;
    },
    isConnected: (fd) => guard('isConnected', [fd], () => (libc.isConnected(fd) ? 1 : 0)) === 1,
    close: (fd) =>
      guard('close', [fd], () => {
        if (watched.has(fd)) return wrong(`close of ${fd}, which is watched`);
        open.delete(fd);
        return libc.close(fd);
      }),
    shutdownWrites: (fd) => guard('shutdownWrites', [fd], () => libc.shutdownWrites(fd)),
    resetOnClose: (fd) => guard('resetOnClose', [fd], () => libc.resetOnClose(fd)),
    takeError: (fd) => guard('takeError', [fd], () => libc.takeError(fd)),
    poll: (fd, events, callback) => {
      if (!open.has(fd) || watched.has(fd)) wrong(`poll of ${fd}, which is not open or is watched already`);
      watched.add(fd);
      const handle = libc.poll(fd, events, callback);
      const guarded = (name: string, call: () => void) => {
        if (watched.has(fd)) call();
        else wrong(`${name} of a watch that is closed`);
      };
      const checked: PollHandle = {
        start: (...how) => guarded('start', () => handle.start(...how)),
        stop: () => guarded('stop', () => handle.stop()),
        close: () =>
          guarded('close', () => {
            watched.delete(fd);
            handle.close();
          }),
      };
      return checked;
    },
  };
}
