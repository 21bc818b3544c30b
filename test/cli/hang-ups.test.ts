/** Clients that hang up in the middle of a file: the process lives on, serves the next one, and holds no more than before. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { download, parseVia } from '../../src/index.ts';
import { decodeOpen, passOpenOn } from '../../src/wire/native/open-message.ts';
import { startPeer, until } from '../support/chain.ts';
import { type Started, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';
import { startWebServer } from '../support/web-server.ts';

const mib = 1024 * 1024;
/** More than the system takes for a client that does not read. */
const size = 24 * mib;
const rounds = 60;
const atOnce = 8;

for (const kernel of ['', 'off']) {
  const how = kernel === 'off' ? 'read into the process' : 'sent inside the kernel';

  test(`a gateway outlives clients that hang up in the middle of a file, ${how}`, async (t) => {
    const root = await makeTempRoot(t);
    const content = await root.writeRandom('file', size);
    const server = await startWebServer(t, (_request, response) => {
      response.setHeader('Cache-Control', 'max-age=600').setHeader('Content-Length', size).end(content);
    });
    const sites = ['--site', `files.test=root:${root.path}`, '--site', `cached.test=127.0.0.1:${server.port}`];
    const cache = ['--cache', path.join(root.path, 'cache')];
    const env = { HOPLINE_KERNEL: kernel };
    const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...sites, ...cache], { env });
    const port = await portOf(gateway);
    for (const host of ['files.test', 'cached.test']) {
      assert.equal(await fetchWhole(port, host), size);
      const before = await descriptors(gateway);
      await many(rounds, (index) => hangUp(port, `GET /file HTTP/1.1\r\nHost: ${host}\r\n\r\n`, index));
      assert.equal(await fetchWhole(port, host), size);
      await until(async () => (await descriptors(gateway)) <= before);
    }
    await endsWell(gateway);
  });

  test(`a node with a limited rate outlives clients that are killed in the middle of a file, ${how}`, async (t) => {
    const root = await makeTempRoot(t);
    await root.writeRandom('file', 8 * mib);
    await root.atRest('file');
    const args = ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--limit-rate', '16M'];
    const node = startProgram(t, args, { env: { HOPLINE_KERNEL: kernel } });
    const port = await portOf(node);
    const asked: Buffer[] = [];
    const recorder = await startPeer(t, (client) => {
      const origin = net.connect(port, '127.0.0.1').on('error', () => client.destroy());
      client
        .on('data', (bytes: Buffer) => asked.push(bytes))
        .pipe(origin)
        .pipe(client);
    });
    // From now on, the digests are known, and so is what a client sends.
    await download({ route: parseVia(recorder.address, 'file'), output: nowhere() });
    const before = await descriptors(node);
    await many(rounds, (index) => hangUp(port, asAnother(Buffer.concat(asked)), index));
    await download({ route: parseVia(`127.0.0.1:${port}`, 'file'), output: nowhere() });
    await until(async () => (await descriptors(node)) <= before);
    await endsWell(node);
  });
}

/** The same requests over another circuit: one that comes through a node twice at once would be refused. */
function asAnother(asked: Buffer): Buffer {
  const open = decodeOpen(asked, 65_536);
  assert.ok(open.kind === 'ok');
  const trace = randomBytes(16).toString('hex');
  return Buffer.concat([passOpenOn(open.value, { trace }), asked.subarray(open.used)]);
}

/** How many bytes of content came. */
async function fetchWhole(port: number, host: string): Promise<number> {
  const request = http.get({ host: '127.0.0.1', port, path: '/file', headers: { Host: host }, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) bytes += part.length;
  return bytes;
}

/** Asks for the file, and leaves once some of it has come: by the end of its own stream, by a reset, or without reading on. */
function hangUp(port: number, request: string | Buffer, index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.write(request);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') reject(error);
    });
    socket.on('close', () => resolve());
    socket.on('end', () => socket.destroy());
    socket.on('data', function started() {
      if (socket.bytesRead < index * 20_000) return;
      socket.off('data', started);
      const leave = [
        () => socket.resetAndDestroy(),
        () => socket.pause().end(() => setImmediate(() => socket.destroy())),
        () =>
          socket
            .resume()
            .end()
            .on('data', () => socket.bytesRead > 2 * mib && socket.destroy()),
      ][index % 3];
      leave?.();
    });
  });
}

/** Runs `work` so many times, several at once. */
async function many(times: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async () => {
    while (next < times) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}

function nowhere(): Writable {
  return new Writable({ write: (_bytes, _encoding, done) => done() });
}

async function portOf(program: Started): Promise<number> {
  return Number(/listening on 127\.0\.0\.1:(\d+)/.exec(await program.saw(/listening on .*\n/))?.[1]);
}

/** How many the process has open; always 0 where the system does not list them. */
async function descriptors({ child }: Started): Promise<number> {
  return process.platform === 'linux' ? (await readdir(`/proc/${child.pid}/fd`)).length : 0;
}

async function endsWell(program: Started): Promise<void> {
  program.child.kill('SIGTERM');
  const { code, stderr } = await program.finished;
  assert.ok(code === 0 || process.platform === 'win32', stderr);
}
