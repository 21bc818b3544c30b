/** Files to clients: the same bytes whether they leave inside the kernel or are read into the process. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { open, truncate } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type Ended, serveHttp } from '../../../src/gateway/server/http-server.ts';
import type { FileKernel } from '../../../src/gateway/server/send-range.ts';
import type { Exchange } from '../../../src/http/exchange.ts';
import { startKernelEngine } from '../../../src/io/kernel/engine.ts';
import { whyNoKernel } from '../../support/kernel.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const size = 3 * 1024 * 1024 + 17;
/** More than the system takes for a reader that has stopped. */
const large = 32 * 1024 * 1024;

for (const kernel of [false, true]) {
  const way = kernel ? 'inside the kernel' : 'through the process';
  const skip = kernel && whyNoKernel();

  test(`sends ranges of files ${way}, and goes on with the connection`, { skip }, async (t) => {
    const { bytes, port, senders } = await startFiles(t, kernel);
    const ranges = [[0, size] as const, [1, 65_537] as const, [65_535, 1_000_001] as const, [size - 3, 3] as const];
    const received = await exchange(port, `${ranges.map(requestFor).join('')}${closing}`);
    let at = 0;
    for (const [offset, length] of ranges) {
      const start = received.indexOf('\r\n\r\n', at) + 4;
      assert.match(received.toString('latin1', at, start), new RegExp(`^HTTP/1.1 200 [\\s\\S]*: ${length}\r\n`));
      at = start + length;
      assert.ok(received.subarray(start, at).equals(bytes.subarray(offset, offset + length)), `${offset} ${length}`);
    }
    assert.match(received.toString('latin1', at), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nend$/);
    assert.equal(senders.opened, kernel ? 3 : 0, 'what is small is read');
  });

  test(`waits for a slow reader ${way}`, { skip }, async (t) => {
    const { bytes, port, held } = await startFiles(t, kernel, large);
    const socket = net.connect(port, '127.0.0.1');
    socket.write(requestFor([7, large - 7]));
    await once(socket, 'readable');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(held.open, 1);
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of socket as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length >= (parts[0] ?? part).indexOf('\r\n\r\n') + 4 + large - 7) break;
    }
    const received = Buffer.concat(parts);
    assert.ok(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(bytes.subarray(7)));
  });

  test(`lets go of the file when its client leaves, sent ${way}`, { skip }, async (t) => {
    const { port, held, ended } = await startFiles(t, kernel, large);
    const socket = net.connect(port, '127.0.0.1');
    socket.write(requestFor([0, large]));
    await once(socket, 'readable');
    socket.destroy();
    assert.equal((await ended).failure?.code, 'PEER_LOST');
    assert.equal(held.open, 0);
  });

  test(`breaks the connection when a file was cut, sent ${way}`, { skip }, async (t) => {
    const { port, file, ended } = await startFiles(t, kernel);
    await truncate(file, 200_000);
    const received = await exchange(port, requestFor([0, size]));
    assert.equal(received.length - received.indexOf('\r\n\r\n') - 4, 200_000);
    assert.equal((await ended).failure?.code, 'FILE_CHANGED');
  });
}

const closing = 'GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

function requestFor([offset, length]: readonly [number, number]): string {
  return `GET /${offset}/${length} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

/** A gateway that answers `/OFFSET/LENGTH` with that range of a file. */
async function startFiles(t: TestContext, kernel: boolean, bytes = size) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('file', bytes);
  const file = path.join(root.path, 'file');
  const held = { open: 0 };
  const backend: Exchange = async ({ target }) => {
    const [, offset = '', length = ''] = target.split('/');
    if (length === '') return { status: 200, reason: 'OK', fields: ['Content-Length', '3'], body: Buffer.from('end') };
    const handle = await open(file);
    held.open += 1;
    const close = async () => {
      held.open -= 1;
      await handle.close();
    };
    const body = { handle, offset: Number(offset), length: Number(length), close };
    return { status: 200, reason: 'OK', fields: ['Content-Length', length], body };
  };
  let end = (_ended: Ended) => {};
  const ended = new Promise<Ended>((resolve) => {
    end = resolve;
  });
  const engine = kernel ? startKernelEngine() : undefined;
  const senders = { opened: 0 };
  const counting: FileKernel | undefined = engine && {
    duplicate: (fd) => engine.duplicate(fd),
    openSender: (...how) => {
      senders.opened += 1;
      return engine.openSender(...how);
    },
  };
  const server = await serveHttp({
    listen: { host: '127.0.0.1', port: 0 },
    sites: [{ host: '*', exchange: backend }],
    kernel: counting,
    onEnded: (one) => end(one),
    limits: defaultLimits,
    log: silentLogger,
  });
  t.after(async () => {
    await server.close({ graceMs: 0 });
    engine?.close();
  });
  return { bytes: content, file, port: server.address?.port ?? 0, held, ended, senders };
}

async function exchange(port: number, bytes: string): Promise<Buffer> {
  const socket = net.connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part)).on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(parts);
}
