import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { truncate, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type DownloadEvent, download } from '../../src/index.ts';
import { FileSender } from '../../src/io/kernel/file-sender.ts';
import { startChain, until } from '../support/chain.ts';
import { makeLater } from '../support/later.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const linux = process.platform === 'linux';

/** A chain whose origin has served `data.bin` before, so that it knows its digests; the file is old enough to be trusted. */
async function startKnown(t: TestContext, bytes: number, kernel: boolean) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const file = path.join(root.path, 'data.bin');
  makeLater(t);
  const chain = await startChain(t, 2, root.path, { kernel });
  const route = chain.route('data.bin');
  const first = await download({ route, output: collect().output });
  return { chain, route, file, content, first };
}

function collect() {
  const parts: Buffer[] = [];
  const output = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      parts.push(Buffer.from(bytes));
      done();
    },
  });
  return { output, bytes: () => Buffer.concat(parts) };
}

for (const kernel of [true, false]) {
  const how = kernel && linux ? 'inside the kernel' : 'through the process';

  test(`a file whose digests are known comes whole, ${how}`, async (t) => {
    const sends = t.mock.method(FileSender.prototype, 'send');
    const { route, content, first } = await startKnown(t, 5 * mib + 77, kernel);
    assert.equal(sends.mock.callCount(), 0, 'unknown pieces are hashed as they are sent');
    const { output, bytes } = collect();
    const again = await download({ route, output });
    assert.ok(bytes().equals(content));
    assert.deepEqual(again.digest, first.digest);
    // All pieces leave in one go.
    assert.equal(sends.mock.callCount(), kernel && linux ? 1 : 0);
  });

  test(`a file with known digests that shrinks while it is sent is an error, ${how}`, async (t) => {
    const { chain, route, file } = await startKnown(t, 60 * mib, kernel);
    const out = await makeTempRoot(t);
    let cut: Promise<void> | undefined;
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'progress') cut ??= truncate(file, 3 * mib);
    };
    const once = { retry: 0, resume: false };
    await assert.rejects(download({ route, output: out.path, onEvent, ...once }), { code: 'FILE_CHANGED', hop: 2 });
    await cut;
    assert.deepEqual(await out.list(), []);
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
  });

  test(`a file with known digests that becomes another version while it is sent is an error, ${how}`, async (t) => {
    const { route, file } = await startKnown(t, 60 * mib, kernel);
    const out = await makeTempRoot(t);
    let written: Promise<void> | undefined;
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'progress') written ??= utimes(file, 1, 1);
    };
    const once = { retry: 0, resume: false };
    await assert.rejects(download({ route, output: out.path, onEvent, ...once }), { code: 'FILE_CHANGED', hop: 2 });
    await written;
  });

  test(`a client that leaves while known pieces are sent leaves no descriptor behind, ${how}`, async (t) => {
    const { chain, route } = await startKnown(t, 60 * mib, kernel);
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
    const before = linux ? readdirSync('/proc/self/fd').length : 0;
    const stop = new AbortController();
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'progress') stop.abort();
    };
    const pending = download({ route, output: collect().output, signal: stop.signal, onEvent });
    await assert.rejects(pending, { code: 'INTERRUPTED' });
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
    await until(() => (linux ? readdirSync('/proc/self/fd').length <= before : true));
  });
}
