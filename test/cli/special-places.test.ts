/** Places that are no files - FIFOs, sockets, devices - and names that cannot be made, for all that writes files. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { download, downloadFiles, downloadTree, parseVia, type RunningNode, upload } from '../../src/index.ts';
import { addressOf, startChain, startPeer } from '../support/chain.ts';
import { mainFile, runProgram, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const isWindows = process.platform === 'win32';
const skip = isWindows && 'Windows has no such things below a directory';
const isRoot = process.getuid?.() === 0;

/** A FIFO, a socket and, where that may be made, a device that takes everything. */
async function makeSpecials(t: TestContext, directory: string): Promise<string[]> {
  const at = (name: string) => path.join(directory, name);
  execFileSync('mkfifo', [at('fifo')]);
  const server = net.createServer().listen(at('socket'));
  await once(server, 'listening');
  t.after(() => new Promise((resolve) => server.close(resolve)));
  await symlink('fifo', at('link'));
  const names = ['fifo', 'socket', 'link'];
  if (!isRoot) return names;
  try {
    execFileSync('mknod', [at('null'), 'c', '1', '3'], { stdio: 'ignore' });
    names.push('null');
  } catch {
    // A container may not.
  }
  return names;
}

async function start(t: TestContext, bytes = 3_000_000) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const { nodes } = await startChain(t, 1, root.path, { uploads: { force: true } });
  const via = addressOf(nodes[0] as RunningNode);
  return { root, out, content, via, at: (name: string) => path.join(out.path, name) };
}

/** What stands at a place, which must not change. */
async function kindOf(place: string): Promise<string> {
  const { mode, ino } = await lstat(place);
  return `${mode.toString(8)} ${ino}`;
}

for (const classic of [false, true]) {
  test(`a FIFO that is named gets ${classic ? 'the' : 'verified'} content, once it has a reader`, {
    skip,
  }, async (t) => {
    const { content, via, at, out } = await start(t);
    execFileSync('mkfifo', [at('pipe')]);
    const before = await kindOf(at('pipe'));
    const fetched = download({ route: parseVia(via, 'data.bin'), output: at('pipe'), force: true, classic });
    const reader = spawn('cat', [at('pipe')], { stdio: ['ignore', 'pipe', 'ignore'] });
    assert.ok((await buffer(reader.stdout)).equals(content));
    const result = await fetched;
    assert.deepEqual([result.path, result.replaced, result.verified], [at('pipe'), false, !classic]);
    assert.equal(await kindOf(at('pipe')), before);
    assert.deepEqual(await out.list(), ['pipe']);
  });
}

test('a FIFO without a reader is waited for until the signal ends it, and one whose reader leaves is a failure', {
  skip,
}, async (t) => {
  const { via, at } = await start(t);
  execFileSync('mkfifo', [at('pipe')]);
  const stop = new AbortController();
  const route = parseVia(via, 'data.bin');
  const waiting = download({ route, output: at('pipe'), signal: stop.signal });
  stop.abort();
  await assert.rejects(waiting, { code: 'INTERRUPTED' });
  const leaving = assert.rejects(download({ route, output: at('pipe') }), { code: 'DISK_FAILED' });
  const reader = spawn('head', ['-c', '1', at('pipe')], { stdio: 'ignore' });
  await once(reader, 'exit');
  await leaving;
});

test('a device that is named is written into and stays one', { skip: skip || !isRoot }, async (t) => {
  const { via, at, out } = await start(t);
  const names = await makeSpecials(t, out.path);
  if (!names.includes('null')) return t.skip('this container makes no devices');
  const before = await kindOf(at('null'));
  for (const more of [[], ['--force'], ['--classic', '--force']]) {
    const { code, stderr } = await runProgram(t, ['get', '--via', via, 'data.bin', '-o', at('null'), ...more]);
    assert.equal(code, 0, stderr);
    assert.equal(await kindOf(at('null')), before);
  }
  assert.deepEqual(await out.list(), [...names].sort());
});

test('what is no regular file is never replaced, whoever asks and however, and no hint suggests it', {
  skip,
}, async (t) => {
  const { via, at, out, root } = await start(t, 1000);
  const names = await makeSpecials(t, out.path);
  await mkdir(path.join(root.path, 'tree'));
  for (const name of names) {
    await writeFile(path.join(root.path, 'tree', name), 'abc');
    await writeFile(path.join(root.path, name), 'abc');
  }
  const before = await Promise.all(names.map((name) => kindOf(at(name))));
  const refused = { code: 'DISK_FAILED', reason: 'NOT_A_FILE' };
  const routeTo = (name: string) => parseVia(via, name);
  for (const force of [true, false]) {
    await assert.rejects(download({ route: routeTo('data.bin'), output: at('socket'), force }), refused);
    for (const name of names) {
      await assert.rejects(download({ route: routeTo(name), output: out.path, force }), refused, name);
    }
    const several = await downloadFiles({ ...routeTo('x'), files: names, output: out.path, force });
    assert.deepEqual(
      several.map(({ error }) => error?.reason),
      names.map(() => 'NOT_A_FILE'),
    );
    await mkdir(at('copy'), { recursive: true });
    const inTree = await downloadTree({
      ...routeTo('tree'),
      directory: 'tree',
      output: path.dirname(out.path),
      force,
    }).catch(() => undefined);
    assert.equal(
      inTree?.outcomes.find(({ error }) => error && error.code !== 'DISK_FAILED'),
      undefined,
    );
  }
  const { code, stderr } = await runProgram(t, ['get', '--via', via, 'data.bin', '-o', at('socket')]);
  assert.equal(code, 8);
  assert.match(stderr, /is a socket, which no file replaces\n {2}hint: /);
  assert.doesNotMatch(stderr, /--force/);
  assert.deepEqual(await Promise.all(names.map((name) => kindOf(at(name)))), before);
});

test('a tree leaves alone what is no regular file', { skip }, async (t) => {
  const { via, root, out, at } = await start(t, 10);
  await mkdir(path.join(root.path, 'tree'));
  await mkdir(at('tree'));
  const names = await makeSpecials(t, at('tree'));
  for (const name of [...names, 'new']) await writeFile(path.join(root.path, 'tree', name), 'abc');
  const before = await Promise.all(names.map((name) => kindOf(path.join(at('tree'), name))));
  for (const force of [false, true]) {
    const { outcomes } = await downloadTree({ ...parseVia(via, 'tree'), directory: 'tree', output: out.path, force });
    const failed = outcomes.filter(({ error }) => error).map(({ error }) => error?.code);
    assert.deepEqual(
      failed,
      names.map(() => 'DISK_FAILED'),
    );
  }
  assert.equal(await readFile(path.join(at('tree'), 'new'), 'utf8'), 'abc');
  assert.deepEqual(await Promise.all(names.map((name) => kindOf(path.join(at('tree'), name)))), before);
});

test('an upload replaces no such thing at an origin, with force at both ends', { skip }, async (t) => {
  const { via, root, at } = await start(t, 10);
  const names = await makeSpecials(t, root.path);
  await writeFile(at('mine'), 'abc');
  const before = await Promise.all(names.map((name) => kindOf(path.join(root.path, name))));
  for (const name of names) {
    const sent = upload({ source: at('mine'), route: parseVia(via, name), force: true });
    await assert.rejects(sent, { code: 'DISK_FAILED', reason: 'NOT_A_FILE', message: /no file replaces/ }, name);
  }
  assert.deepEqual(await Promise.all(names.map((name) => kindOf(path.join(root.path, name)))), before);
});

test('fetch writes into a FIFO, and replaces no socket', { skip }, async (t) => {
  const { at, content, out } = await start(t);
  const server = http.createServer((_request, response) => response.end(content)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/data.bin`;
  await makeSpecials(t, out.path);
  const reader = spawn('cat', [at('fifo')], { stdio: ['ignore', 'pipe', 'ignore'] });
  const fetching = runProgram(t, ['fetch', url, '-o', at('fifo'), '-f', '--no-cache']);
  assert.ok((await buffer(reader.stdout)).equals(content));
  assert.equal((await fetching).code, 0);
  const { code, stderr } = await runProgram(t, ['fetch', url, '-o', at('socket'), '-f', '--no-cache']);
  assert.equal(code, 8, stderr);
  assert.doesNotMatch(stderr, /--force/);
  assert.ok((await lstat(at('fifo'))).isFIFO() && (await lstat(at('socket'))).isSocket());
});

for (const [what, output, code, mayBeTree = false] of [
  ['in a directory that is not there', 'none/x', 'DISK_FAILED', true],
  ['below a file', 'file/x', 'DISK_FAILED'],
  ['that is too long', 'n'.repeat(256), 'DISK_FAILED'],
  ['that is too long, in a directory that is yet to be made', `new/${'n'.repeat(256)}/`, 'DISK_FAILED'],
  ['of a directory that is there', 'dir', 'DISK_EXISTS', true],
] as const) {
  test(`a name ${what} is refused before anybody is asked`, async (t) => {
    const out = await makeTempRoot(t);
    await writeFile(path.join(out.path, 'file'), '');
    await mkdir(path.join(out.path, 'dir', 'data.bin'), { recursive: true });
    let asked = 0;
    const peer = await startPeer(t, (socket) => {
      asked += 1;
      socket.destroy();
    });
    const route = parseVia(peer.address, 'data.bin');
    const place = `${out.path}/${output}`;
    await assert.rejects(download({ route, output: place, classic: true, force: true }), { code });
    // What is asked for over the native dialect may be a directory as well, and then that is its place.
    if (!mayBeTree) await assert.rejects(download({ route, output: place, force: true }), { code });
    const { stderr, code: exit } = await runProgram(t, [
      'fetch',
      `http://${peer.address}/data.bin`,
      '-o',
      place,
      '-f',
      '--no-cache',
    ]);
    assert.equal(exit, 8, stderr);
    assert.equal(asked, 0);
    assert.deepEqual(await out.list(), ['dir', 'file']);
  });
}

test('a name that only a tree could have is refused before a byte is written', async (t) => {
  const { via, out, at } = await start(t, 10);
  await mkdir(at('dir/data.bin'), { recursive: true });
  const route = parseVia(via, 'data.bin');
  for (const resume of [true, false]) {
    await assert.rejects(download({ route, output: at('none/x'), resume }), { code: 'DISK_FAILED', reason: 'ENOENT' });
    await assert.rejects(download({ route, output: at('dir'), resume, force: true }), { code: 'DISK_EXISTS' });
  }
  assert.deepEqual(await out.list(), ['dir']);
});

test('a directory that cannot be written to is refused before anybody is asked', {
  skip: skip || (isRoot && 'root may write anywhere'),
}, async (t) => {
  const out = await makeTempRoot(t);
  await chmod(out.path, 0o555);
  t.after(() => chmod(out.path, 0o755));
  let asked = 0;
  const peer = await startPeer(t, () => {
    asked += 1;
  });
  await assert.rejects(download({ route: parseVia(peer.address, 'x'), output: `${out.path}/x` }), {
    code: 'DISK_FAILED',
    reason: 'EACCES',
  });
  assert.equal(asked, 0);
});

test('permissions of what is fetched obey the umask, of trees too', { skip }, async (t) => {
  const { via, root, out } = await start(t, 10);
  const tree = path.join(root.path, 'tree');
  await mkdir(path.join(tree, 'sub'), { recursive: true });
  await writeFile(path.join(tree, 'sub', 'a'), 'abc');
  for (const [name, mode] of [
    ['sub/a', 0o666],
    ['sub', 0o777],
    ['.', 0o777],
  ] as const)
    await chmod(path.join(tree, name), mode);
  await utimes(path.join(tree, 'sub', 'a'), 1, 1);
  const shell = (umask: string, args: readonly string[]) => {
    const child = spawn('sh', ['-c', `umask ${umask}; exec "$0" "$@"`, process.execPath, mainFile, ...args], {
      stdio: 'ignore',
    });
    return once(child, 'exit');
  };
  const modeOf = async (name: string) => ((await stat(path.join(out.path, name))).mode & 0o7777).toString(8);
  for (const [umask, expected] of [
    ['077', ['700', '700', '600']],
    ['027', ['750', '750', '640']],
    ['000', ['777', '777', '666']],
  ] as const) {
    assert.deepEqual(await shell(umask, ['get', '--via', via, 'tree', '-o', out.path]), [0, null]);
    assert.deepEqual(await Promise.all(['tree', 'tree/sub', 'tree/sub/a'].map(modeOf)), expected, umask);
  }
  assert.deepEqual(await shell('077', ['get', '--via', via, 'data.bin', '-o', path.join(out.path, 'one')]), [0, null]);
  assert.equal(await modeOf('one'), '600');
});

test('logs of requests are for their owner alone, or the program says that they are not', { skip }, async (t) => {
  const { at, out } = await start(t, 10);
  const server = http.createServer((_request, response) => response.end('x')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  await writeFile(at('wide.log'), '');
  await chmod(at('wide.log'), 0o644);
  const told = /others may read or write .*wide\.log: its mode is 0644/;
  const fetched = async (name: string) => (await runProgram(t, ['fetch', url, '--log', at(name), '--no-cache'])).stderr;
  assert.doesNotMatch(await fetched('fetch.log'), /others/);
  assert.match(await fetched('wide.log'), told);
  for (const name of ['access.log', 'wide.log']) {
    const args = ['--listen', '127.0.0.1:0', '--site', `*=127.0.0.1:${port}`, '--access-log', at(name)];
    const gateway = startProgram(t, ['gateway', ...args]);
    await gateway.saw(/listening on .*\n/);
    gateway.child.kill('SIGTERM');
    const { stderr } = await gateway.finished;
    assert.equal(told.test(stderr), name === 'wide.log', stderr);
  }
  for (const name of ['fetch.log', 'access.log']) assert.equal((await stat(at(name))).mode & 0o777, 0o600, name);
  await makeSpecials(t, out.path);
  for (const name of ['fifo', 'socket']) {
    const { code, stderr } = await runProgram(t, ['fetch', url, '--log', at(name), '--no-cache']);
    assert.equal(code, 8, stderr);
    const gateway = await runProgram(t, [
      'gateway',
      '--listen',
      '127.0.0.1:0',
      '--site',
      `*=127.0.0.1:${port}`,
      '--access-log',
      at(name),
    ]);
    assert.equal(gateway.code, 8, gateway.stderr);
    const cached = await runProgram(t, [
      'gateway',
      '--listen',
      '127.0.0.1:0',
      '--site',
      `*=127.0.0.1:${port}`,
      '--cache',
      at(name),
    ]);
    assert.notEqual(cached.code, 0, cached.stderr);
    assert.doesNotMatch(cached.stderr, /--force|\n {4}at /);
  }
  assert.ok((await lstat(at('fifo'))).isFIFO());
});
