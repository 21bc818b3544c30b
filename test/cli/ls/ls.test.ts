import assert from 'node:assert/strict';
import { symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { formatEntryLine, formatInstant, jsonOfEntry } from '../../../src/cli/ls/entry-text.ts';
import { readPlace } from '../../../src/cli/ls/place.ts';
import { type Logger, silentLogger } from '../../../src/index.ts';
import { addressOf, startChain, startPeer, until } from '../../support/chain.ts';
import { rawFrame } from '../../support/decoding.ts';
import { anyText, assertLines } from '../../support/foreign-text.ts';
import { inside, top } from '../../support/lister.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const isWindows = process.platform === 'win32';
const isLinux = process.platform === 'linux';

async function start(t: TestContext) {
  const root = await makeTempRoot(t);
  const files = { 'photos/small': 1, 'photos/large': 3000, 'photos/2026/medium': 200, 'a\u202eb': 5 };
  for (const [name, size] of Object.entries(files)) {
    await root.writeRandom(name, size);
    await utimes(path.join(root.path, name), 1, new Date(2026, 6, 18, 9, 5));
  }
  const traceIds: unknown[] = [];
  const log: Logger = { ...silentLogger, info: ({ traceId, trace }) => trace !== undefined && traceIds.push(traceId) };
  const chain = await startChain(t, 2, root.path, { log });
  const via = chain.nodes.map(addressOf);
  const routeFile = path.join((await makeTempRoot(t)).path, 'route.txt');
  await writeFile(routeFile, `photos/large\n${via.map((hop) => hop.replace(':', ' ')).join('\n')}\n`);
  return { root, via: via.join(','), routeFile, traceIds };
}

test('an entry is a line with its kind, permissions, bytes, time and name', () => {
  const mtimeNs = `${BigInt(new Date(2026, 6, 18, 9, 5).getTime()) * 1_000_000n}`;
  const file = { kind: 'file', path: 'a', size: 1834022, mode: 0o640, mtimeNs } as const;
  assert.equal(formatEntryLine(file, 'a b'), '-rw-r-----        1834022  2026-07-18 09:05  a b\n');
  const directory = { kind: 'directory', path: 'a', mode: 0o755, mtimeNs } as const;
  assert.equal(formatEntryLine(directory, 'a'), 'drwxr-xr-x              -  2026-07-18 09:05  a\n');
  const link = { kind: 'link', path: 'a', target: '../x' } as const;
  assert.equal(formatEntryLine(link, 'a'), 'lrwxrwxrwx              -  -                 a -> ../x\n');
  assert.equal(formatEntryLine({ kind: 'other', path: 'a' }, 'a'), '??????????              -  -                 a\n');
  const bare = { kind: 'file', path: '', size: 0 } as const;
  assert.equal(formatEntryLine(bare, 'a'), '-?????????              0  -                 a\n');
});

test('a time is told to the nanosecond, before 1970 as well', () => {
  assert.equal(formatInstant('1784370896123456789'), '2026-07-18T10:34:56.123456789Z');
  assert.equal(formatInstant('0'), '1970-01-01T00:00:00.000000000Z');
  assert.equal(formatInstant('-1'), '1969-12-31T23:59:59.999999999Z');
  assert.equal(formatInstant('-9223372036854775808'), '1677-09-21T00:12:43.145224192Z');
  assert.equal(formatInstant('9223372036854775807'), '2262-04-11T23:47:16.854775807Z');
});

test('whatever a name is, its entry is one line, and scripts have it exactly', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      assertLines(formatEntryLine({ kind: 'link', path: text, target: text }, text), 1);
      assert.deepEqual(jsonOfEntry({ kind: 'other', path: text }), { kind: 'other', path: text });
    }),
    { numRuns: 30 },
  );
});

test('ls lists the root, or a directory, in the order that was asked for, and ends with 5 if that is not all', async (t) => {
  const { root, via, routeFile } = await start(t);
  if (!isWindows) await symlink('photos', path.join(root.path, 'newest'));
  const plain = await runProgram(t, ['ls', routeFile]);
  assert.deepEqual([plain.code, plain.stderr], [0, '']);
  assertLines(plain.stdout);
  assert.match(plain.stdout, /^-rw.{8} +5 {2}2026-07-18 09:05 {2}a\\u202eb\n/);
  assert.match(plain.stdout, isWindows ? /\nd.* photos\n$/ : /\nl.* newest -> photos\nd.* photos\n$/);
  const sized = await runProgram(t, ['ls', routeFile, 'photos/', '-R', '--sort', 'size']);
  const names = sized.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('  ').at(-1));
  assert.deepEqual(names, ['large', '2026/medium', 'small', '2026']);
  if (isLinux) await writeFile(path.join(root.path, 'photos/two\nlines'), '');
  const json = await runProgram(t, ['ls', '--via', via, 'photos', '--json']);
  const events = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ event, path: name }) => (event === 'entry' ? name : event)),
    ['route', '2026', 'large', 'small', 'done', ...(isLinux ? ['error'] : [])],
  );
  const [, , large, , done, error] = events;
  assert.deepEqual([large.kind, large.size], ['file', 3000]);
  assert.equal(new Date(large.modified).getTime(), new Date(2026, 6, 18, 9, 5).getTime());
  const skipped = { names: isLinux ? 1 : 0, unreadable: 0, unfinished: 0 };
  assert.deepEqual([done.entries, done.size, done.skipped], [3, 3001, skipped]);
  assert.equal(json.code, isLinux ? 5 : 0);
  assert.equal(error?.message, isLinux ? 'the origin did not list all of "photos": 1 name cannot travel' : undefined);
});

test('stat tells of the file that the route names, or of another name, and what is not there ends with 6', async (t) => {
  const { routeFile, traceIds } = await start(t);
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const env = { TRACEPARENT: `00-${traceId}-00f067aa0ba902b7-01` };
  const plain = await runProgram(t, ['stat', routeFile], { env });
  await until(() => traceIds.length === 2);
  assert.deepEqual(traceIds, [traceId, traceId], 'its circuit has the id that stands in the environment');
  assert.deepEqual([plain.code, plain.stderr], [0, '']);
  assert.match(plain.stdout, /^file +photos\/large\nsize +2\.9 KiB \(3000 bytes\)\nmodified +2026-07-\d\dT/);
  assert.match(plain.stdout, /\nmode +-rw.* \(0\d{3}\)\nversion +[0-9a-f]{32}\npieces +1 of 1\.0 MiB, by /);
  const none = await runProgram(t, ['stat', routeFile, 'none']);
  assert.deepEqual([none.code, none.stdout], [6, '']);
  assert.match(none.stderr, /^hopline: hop 2 .* has no file "none"\n {2}hint: /);
});

test('a listing without end prints as it arrives, and ends with 0 where its reader goes away', async (t) => {
  const peer = await startPeer(t, (socket) => {
    let at = 0;
    const next = () => {
      at += 1;
      return String(at).padStart(15, '0');
    };
    const send = (entries: readonly object[]) =>
      socket.write(rawFrame(JSON.stringify({ type: 'listing', entries, last: false })));
    const goOn = () => {
      while (!socket.destroyed && send(Array.from({ length: 100 }, () => inside(next()))));
    };
    socket.once('data', () => {
      socket.resume();
      send([top]);
      goOn();
    });
    socket.on('drain', goOn);
  });
  const program = startProgram(t, ['ls', '--via', peer.address]);
  program.child.stdout?.once('data', () => program.child.stdout?.destroy());
  const { code, stderr } = await program.finished;
  assert.deepEqual([code, stderr], [0, '']);
});

test('the words of a command line are a route and a name or, behind --via, a name alone', async (t) => {
  const { via, routeFile } = await start(t);
  const settings = path.join(path.dirname(routeFile), 'config.yaml');
  await writeFile(settings, `routes: { eu: [${via}] }\n`);
  process.env.HOPLINE_CONFIG = settings;
  t.after(() => delete process.env.HOPLINE_CONFIG);
  const place = (hops: string[] | undefined, ...words: string[]) => readPlace('ls', hops, words);
  const { routes } = await place([via], 'other');
  assert.deepEqual(await place([via], 'other'), { routes, name: 'other', file: undefined });
  assert.deepEqual(await place([via]), { routes, name: undefined, file: undefined });
  assert.deepEqual(await place(undefined, routeFile), { routes, name: undefined, file: 'photos/large' });
  assert.deepEqual(await place(undefined, routeFile, 'other'), { routes, name: 'other', file: 'photos/large' });
  assert.deepEqual(await place(undefined, 'eu:other'), { routes, name: 'other', file: undefined });
  assert.deepEqual(await place(undefined, 'eu:', 'other'), { routes, name: 'other', file: undefined });
  assert.deepEqual(await place(undefined, 'eu:'), { routes, name: undefined, file: undefined });
  const wrong = (message: string) => ({ code: 'USAGE_INVALID', message });
  await assert.rejects(place(undefined), wrong('ls needs a route file, NAME:FILE or --via'));
  await assert.rejects(place([via], 'route.txt', 'a'), wrong('--via takes the place of the route file route.txt'));
  await assert.rejects(place(undefined, 'eu:a', 'b'), wrong('eu:a has its name already, and b is another one'));
});
