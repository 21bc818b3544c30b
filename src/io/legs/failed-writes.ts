/**
 * Connections whose writes fail are still read: what the other side said before it closed comes first.
 *
 * A server that refuses an upload answers and closes at once, so the answer has arrived by the time a write fails (RFC
 * 9112, 9.5). Node would close the connection at that failure, with the answer unread.
 * Invariant: a connection on which a write failed never ends as if the other side had ended it: it breaks with that
 * failure.
 */

import type { Duplex } from 'node:stream';

/** Milliseconds: what has arrived is read at once, unless whoever reads waits for somebody else. */
const readMs = 2000;

type Done = (error?: Error | null) => void;

/** What is overridden of a socket, in this one object alone. */
interface Writes {
  _write(chunk: unknown, encoding: BufferEncoding, done: Done): void;
  _writev?: ((chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done) => void) | null;
  push(chunk: unknown, encoding?: BufferEncoding): boolean;
}

/** Has a failure of a write wait until all that came has been read, for `readMs` at most. */
export function readPastFailedWrites<T extends Duplex>(connection: T): T {
  const writes = connection as unknown as Writes;
  const { _write: write, _writev: writev, push } = writes;
  let failure: Error | undefined;
  const waiting =
    (done: Done): Done =>
    (error) => {
      if (!error || connection.destroyed || connection.readableEnded) return done(error);
      failure ??= error;
      const late = setTimeout(() => connection.destroy(error), readMs);
      connection.once('close', () => {
        clearTimeout(late);
        done(error);
      });
    };
  writes._write = (chunk, encoding, done) => write.call(writes, chunk, encoding, waiting(done));
  if (writev) writes._writev = (chunks, done) => writev.call(writes, chunks, waiting(done));
  writes.push = (chunk, encoding) => {
    if (chunk !== null || !failure) return push.call(writes, chunk, encoding);
    connection.destroy(failure);
    return false;
  };
  return connection;
}
