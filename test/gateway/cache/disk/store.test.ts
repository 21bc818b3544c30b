import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { defaultLimits } from '../../../../src/core/limits.ts';
import { silentLogger } from '../../../../src/core/log.ts';
import { flushHttpCache, listHttpCache } from '../../../../src/gateway/cache/admin/inspect.ts';
import { createHttpCache } from '../../../../src/gateway/cache/cache.ts';
import { type CacheSetup, makeCache, see } from '../../../support/caches.ts';
import { failOpening, failWriting } from '../../../support/failing-disk.ts';

const fresh = { 'Cache-Control': 'max-age=60', ETag: '"one"' };

/** The only stored answer's file. */
async function fileIn({ directory }: CacheSetup): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.entry'));
  assert.equal(names.length, 1);
  return path.join(directory, names[0] ?? '');
}

/** What another user may put in its place. */
const planted = {
  'what others may write': (file: string) => chmod(file, 0o666),
  'a link': async (file: string) => {
    await rename(file, `${file}.away`);
    await symlink(`${file}.away`, file);
  },
  'a FIFO': async (file: string) => {
    await unlink(file);
    execFileSync('mkfifo', [file]);
  },
};

test('has everything again after a restart, fields that were confirmed since among it', async (t) => {
  const setup = await makeCache(t);
  const content = randomBytes(3 * 1024 * 1024 + 5);
  setup.script = ({ target }) => ({ fields: fresh, body: target === '/large' ? content : 'small' });
  await setup.ask({ target: '/large' });
  await setup.ask();
  await setup.restart();
  setup.advance(61);
  setup.script = () => ({ status: 304, fields: { ...fresh, 'X-State': 'a longer head than the one before' } });
  await setup.ask();
  await setup.restart();
  const small = await setup.ask();
  assert.equal(small.text, 'small');
  assert.match(small.field('x-state') ?? '', /longer/);
  assert.match(small.verdict ?? '', /hit/);
  setup.advance(-61);
  for (const range of ['bytes=1048570-1048580', 'bytes=0-', 'bytes=3145727-']) {
    const part = await setup.ask({ target: '/large', fields: { Range: range } });
    assert.equal(part.status, 206);
    const [, from = '', to = ''] = /bytes (\d+)-(\d+)/.exec(part.field('content-range') ?? '') ?? [];
    assert.ok(part.body.equals(content.subarray(Number(from), Number(to) + 1)), range);
  }
  const whole = await setup.start({ target: '/large' });
  assert.ok(whole.body && 'handle' in whole.body, 'checked once, it leaves as a file');
  assert.ok((await see(whole)).body.equals(content));
  assert.equal(setup.reached.length, 3);
});

test('fetches anew what was cut off, is not its own, or changed on disk', async (t) => {
  const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
    'cut off': (file) => truncate(file, 20),
    empty: (file) => truncate(file, 0),
    'another content': async (file) => {
      const bytes = await readFile(file);
      bytes[2] = (bytes[2] ?? 0) ^ 1;
      await writeFile(file, bytes);
    },
    'another head': async (file) => {
      const text = (await readFile(file)).toString('latin1').replace('max-age=60', 'max-age=99');
      await writeFile(file, text, 'latin1');
    },
    ...(process.platform === 'win32' ? {} : planted),
  };
  for (const [name, damage] of Object.entries(damages)) {
    const setup = await makeCache(t);
    setup.script = () => ({ fields: fresh, body: 'right' });
    await setup.ask();
    await setup.restart();
    await damage(await fileIn(setup));
    if (name === 'another head') await setup.restart();
    else await setup.cache.close();
    await setup.restart();
    assert.equal((await setup.ask()).text, 'right', name);
    assert.equal(setup.reached.length, 2, name);
  }
});

test('breaks off a large content at the block that is damaged, and fetches it anew the next time', async (t) => {
  const setup = await makeCache(t);
  const content = randomBytes(3 * 1024 * 1024);
  setup.script = () => ({ fields: fresh, body: content });
  await setup.ask();
  await setup.restart();
  const file = await fileIn(setup);
  const bytes = await readFile(file);
  bytes[2 * 1024 * 1024] = (bytes[2 * 1024 * 1024] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const { body } = await setup.start();
  assert.ok(body instanceof Readable);
  const parts: Buffer[] = [];
  await assert.rejects(
    async () => {
      for await (const part of body) parts.push(part as Buffer);
    },
    { code: 'HASH_MISMATCH' },
  );
  assert.ok(Buffer.concat(parts).equals(content.subarray(0, 2 * 1024 * 1024)));
  assert.ok((await setup.ask()).body.equals(content));
  assert.equal(setup.reached.length, 2);
});

test('lets the answer go that was used longest ago when room is needed', async (t) => {
  const setup = await makeCache(t, { maxBytes: 25_000 });
  setup.script = () => ({ fields: fresh, body: randomBytes(10_000) });
  for (const target of ['/a', '/b']) await setup.ask({ target });
  await setup.restart();
  await setup.ask({ target: '/a' });
  await setup.ask({ target: '/c' });
  await setup.restart();
  const urls = setup.cache.list().map(({ url }) => url.at(-1));
  assert.deepEqual(urls.sort(), ['a', 'c']);
  assert.ok(setup.cache.stat().bytes <= 25_000);
});

test('holds no more content in memory than it may', async (t) => {
  const setup = await makeCache(t, { limits: { maxCacheMemoryBytes: 25_000 } });
  setup.script = () => ({ fields: fresh, body: randomBytes(10_000) });
  for (const target of ['/a', '/b', '/c', '/d']) await setup.ask({ target });
  await setup.restart();
  for (const target of ['/a', '/b', '/c', '/d']) assert.match((await setup.ask({ target })).verdict ?? '', /hit/);
  assert.equal(setup.cache.stat().memoryBytes, 20_000);
});

test('passes on without storing what is larger than one answer may be', async (t) => {
  const setup = await makeCache(t, { limits: { maxCacheEntryBytes: 100_000, maxCacheSmallBytes: 10 } });
  const content = randomBytes(300_000);
  setup.script = () => ({ fields: fresh, body: content });
  const known = await setup.ask();
  assert.match(known.verdict ?? '', /detail=too-large/);
  assert.ok(known.body.equals(content));
  setup.script = () => ({
    fields: fresh,
    body: Readable.from([content.subarray(0, 90_000), content.subarray(90_000)]),
  });
  assert.ok((await setup.ask()).body.equals(content), 'and nobody knew its length');
  await setup.restart();
  assert.equal(setup.cache.stat().entries, 0);
});

test('passes on what cannot be written, says so once, and stores again when it can', async (t) => {
  const lines: string[] = [];
  const setup = await makeCache(t, { limits: { maxCacheSmallBytes: 10 }, onWarning: (line) => lines.push(line) });
  const content = randomBytes(500_000);
  setup.script = () => ({ fields: fresh, body: content });
  const away = `${setup.directory}-away`;
  await rename(setup.directory, away);
  for (const target of ['/a', '/b']) assert.ok((await setup.ask({ target })).body.equals(content));
  await rename(away, setup.directory);
  assert.deepEqual(lines, ['answers are passed on without being stored']);
  await setup.ask({ target: '/c' });
  await setup.restart();
  assert.deepEqual(
    setup.cache.list().map(({ url }) => url),
    ['http://example.org/c'],
  );
});

test('refuses a directory that another cache has open, until it is closed', async (t) => {
  const setup = await makeCache(t);
  const options = { directory: setup.directory, limits: defaultLimits, log: silentLogger };
  await assert.rejects(createHttpCache(options), { code: 'DISK_BUSY' });
  await setup.cache.close();
  await (await createHttpCache(options)).close();
  await setup.restart();
});

test('is listed and flushed from outside, open or not', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  for (const target of ['/a', '/b', '/c']) await setup.ask({ target });
  await setup.restart();
  assert.deepEqual(
    (await listHttpCache(setup.directory)).map(({ url }) => url.at(-1)),
    ['a', 'b', 'c'],
  );
  assert.equal(await flushHttpCache(setup.directory, 'http://example.org/a'), 1);
  assert.match((await setup.ask({ target: '/a' })).verdict ?? '', /fwd/);
  await setup.cache.close();
  assert.equal(await flushHttpCache(setup.directory, 'example.org'), 3);
  assert.deepEqual(await listHttpCache(setup.directory), []);
  await assert.rejects(listHttpCache(path.join(setup.directory, 'absent')), { code: 'USAGE_INVALID' });
  await setup.restart();
});

test('is flushed and closed while FIFOs stand in the place of requests', {
  skip: process.platform === 'win32' && 'no FIFO has a name there',
}, async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh, body: 'x' });
  await setup.ask();
  const place = path.join(setup.directory, 'flush');
  await mkdir(place, { recursive: true });
  // As many as there are threads for files, and one more.
  const fifos = Array.from({ length: 5 }, (_, index) => path.join(place, `${String(index).padStart(32, '0')}.request`));
  execFileSync('mkfifo', fifos);
  assert.equal(await flushHttpCache(setup.directory), 1);
  assert.deepEqual(await readdir(place), []);
});

test('keeps what it has stored where too many files are open, running or at a start', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh, body: randomBytes(3 * 1024 * 1024) });
  const first = await setup.ask();
  await fileIn(setup);
  const restore = failOpening(t, (file) => file.endsWith('.entry'), 'EMFILE');
  await assert.rejects(setup.ask(), { code: 'DISK_FAILED' });
  await assert.rejects(setup.restart(), { code: 'USAGE_INVALID', message: /too many files are open/ });
  restore();
  await fileIn(setup);
  await setup.restart();
  const again = await setup.ask();
  assert.ok(again.body.equals(first.body));
  assert.equal(setup.reached.length, 1);
});

test('is flushed from outside on a disk with room for names alone, and tells where that is too little', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  await setup.ask();
  failWriting(t, (content) => content.startsWith('{'), 'ENOSPC');
  await assert.rejects(flushHttpCache(setup.directory, 'example.org'), {
    code: 'DISK_FULL',
    message: /flush: the disk is full/,
  });
  assert.deepEqual(await readdir(path.join(setup.directory, 'flush')), []);
  assert.equal(await flushHttpCache(setup.directory), 1);
});
