/** Nodes that let in whom their authorized keys name, and what each of them may do. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Circuit } from '../../src/client/circuit/circuit.ts';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../src/index.ts';
import { type KeyPair, newKey } from '../../src/wire/keys/key.ts';
import type { Listed, Message } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, until } from '../support/chain.ts';
import { firstMessage, posing } from '../support/first-message.ts';
import { openCircuit } from '../support/secure-circuits.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const identity = newKey().key;
const [alice, bob, eve] = [newKey().key, newKey().key, newKey().key];
const mib = 1024 * 1024;
/** Links, modes and names in bytes are not to be had everywhere. */
const posix = { skip: process.platform === 'win32' };
const stat = (name: string): Message => ({ type: 'stat', name, digests: ['sha256'] });
const put = (name: string, size: number, force = false): Message => ({
  type: 'put',
  name,
  size,
  pieceBytes: mib,
  version: 'v1',
  upload: randomBytes(16).toString('hex'),
  digests: ['sha256'],
  force,
});

interface Guarded {
  readonly node: RunningNode;
  readonly root: string;
  readonly file: string;
  readonly logged: readonly string[];
  /** A circuit of a client with this key, or without one; `plain` does not encrypt. */
  ask(who: KeyPair | undefined | 'plain', ...requests: readonly Message[]): Promise<Circuit>;
  /** Writes other lines, and has the node read them at once. */
  change(...lines: readonly string[]): Promise<void>;
}

/** A node with files of a few bytes, that lets in whom `lines` name. */
async function guard(t: TestContext, lines: readonly string[], more: Partial<NodeOptions> = {}): Promise<Guarded> {
  const [root, place] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (const name of ['docs/a.txt', 'docs/deep/b.txt', 'docs/c.bin', 'other/d.txt', 'e.txt']) {
    await root.writeRandom(name, 10);
  }
  const file = path.join(place.path, 'authorized_keys');
  const write = (all: readonly string[]) => writeFile(file, all.join('\n'), { mode: 0o600 });
  await write(lines);
  const logged: string[] = [];
  const note = (fields: object, message: string) => logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  const options = { identity, authorizedKeys: file, uploads: { force: true }, log, ...more };
  const { nodes } = await startChain(t, 1, root.path, options);
  const [node] = nodes as [RunningNode];
  return {
    node,
    root: root.path,
    file,
    logged,
    ask: (who, ...requests) =>
      openCircuit(t, [addressOf(node)], requests, who === 'plain' ? undefined : { remote: identity.public, own: who }),
    change: async (...next) => {
      await write(next);
      await node.reload({
        listen: { host: '127.0.0.1', port: 0 },
        root: root.path,
        kernel: process.env.HOPLINE_KERNEL !== 'off',
        ...options,
      });
    },
  };
}

function lineFor(who: KeyPair, options: string): string {
  return `${options} ${who.public.text}`;
}

/**
 * Asks for three pieces by a first message of Alice's, which whoever stole the node's key can make as well, and sends nothing
 * behind it. `bytes` resolves to how many came until the node ended.
 */
async function askUnconfirmed(
  t: TestContext,
  { node, root }: Pick<Guarded, 'node' | 'root'>,
): Promise<{ readonly bytes: Promise<number> }> {
  await writeFile(path.join(root, 'large'), Buffer.alloc(4 * mib));
  const reads = [0, 1, 2].map((index): Message => ({ type: 'read', offset: index * mib, length: mib }));
  const stolen = posing(identity, alice.public);
  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  socket.write(firstMessage({ hops: [addressOf(node)], requests: [stat('large'), ...reads], ...stolen }).bytes);
  return { bytes: received.then(({ length }) => length) };
}

function failsWith(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoplineError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  };
}

/** What becomes of one request. */
async function outcome(circuit: Circuit, request: Message): Promise<string> {
  circuit.send([request]);
  try {
    if (request.type === 'put') await circuit.receive('ready');
    else await circuit.receive('status');
    return 'fine';
  } catch (error) {
    return error instanceof HoplineError ? error.code : String(error);
  }
}

async function list(circuit: Circuit, name: string, depth?: number): Promise<readonly Listed[]> {
  circuit.send([{ type: 'list', name, depth }]);
  const entries: Listed[] = [];
  for (let last = false; !last; ) {
    const frame = await circuit.receive('listing');
    entries.push(...frame.entries);
    last = frame.last;
  }
  return entries;
}

test('a key reads what its line says, by its name and by where that leads', posix, async (t) => {
  const { ask, root, logged } = await guard(t, [lineFor(alice, 'read="docs/**/*.txt,link/*,*\u0301*"')]);
  await symlink('../other', path.join(root, 'docs/way'));
  await symlink('other', path.join(root, 'link'));
  await writeFile(path.join(root, 'e\u0301.txt'), 'x');
  const circuit = await ask(alice);
  for (const [name, code] of [
    ['docs/a.txt', 'fine'],
    ['./docs//deep/./b.txt', 'fine'],
    ['docs/c.bin', 'AUTH_DENIED'],
    ['docs/nowhere.txt', 'FILE_NOT_FOUND'],
    ['docs/nowhere.bin', 'AUTH_DENIED'],
    ['docs', 'FILE_IS_DIRECTORY'],
    ['other', 'AUTH_DENIED'],
    ['other/d.txt', 'AUTH_DENIED'],
    ['nowhere', 'AUTH_DENIED'],
    ['docs/way/d.txt', 'AUTH_DENIED'],
    ['link/d.txt', 'AUTH_DENIED'],
    ['e\u0301.txt', 'AUTH_DENIED'],
    ['../x', 'AUTH_DENIED'],
    ['docs/a.txt', 'fine'],
  ] as const)
    assert.equal(await outcome(circuit, stat(name)), code, name);
  circuit.send([{ type: 'read', offset: 0, length: mib }]);
  const { length } = await circuit.receive('data');
  await circuit.receiveInto(Buffer.alloc(length), () => {});
  await circuit.receive('end');
  await assert.rejects(list(circuit, 'other'), failsWith('AUTH_DENIED'));
  assert.equal(await outcome(circuit, put('docs/new.txt', 1)), 'AUTH_DENIED');
  const told = logged.join('\n');
  assert.match(told, /may not read a name/);
  assert.match(told, /may not write a name/);
  for (const name of ['c.bin', 'd.txt', 'deep', 'way']) assert.ok(!told.includes(name), name);
});

test('a listing shows what matches, and the directories that lead there', posix, async (t) => {
  const { ask, root } = await guard(t, [lineFor(alice, 'read="docs/**/*.txt"'), lineFor(bob, 'all')]);
  await mkdir(path.join(root, 'docs/empty'));
  await symlink('../other', path.join(root, 'docs/way.txt'));
  const circuit = await ask(alice);
  const paths = (await list(circuit, '.')).map((entry) => entry.path);
  assert.deepEqual(paths, ['', 'docs', 'docs/a.txt', 'docs/deep', 'docs/deep/b.txt', 'docs/way.txt']);
  assert.deepEqual(
    (await list(circuit, 'docs/deep')).map((entry) => entry.path),
    ['', 'b.txt'],
  );
  // As if it was not there, since nothing in it may be read.
  for (const name of ['docs/empty', 'docs/none']) {
    assert.equal(await outcome(circuit, stat(name)), 'AUTH_DENIED');
    for (const depth of [undefined, 0, 1]) {
      const asked = await ask(alice);
      await assert.rejects(list(asked, name, depth), failsWith('AUTH_DENIED'));
    }
  }
  assert.deepEqual((await list(circuit, 'docs/deep', 0)).length, 1);
  assert.equal((await list(await ask(bob), '.')).length, 11);
});

test('a key writes where its line says, and no link leads elsewhere', posix, async (t) => {
  const { ask, root } = await guard(t, [
    lineFor(alice, 'write="in/**",no-replace,max-upload="100"'),
    lineFor(bob, 'all'),
  ]);
  await mkdir(path.join(root, 'in'));
  await writeFile(path.join(root, 'in/old'), 'old');
  await symlink('../other', path.join(root, 'in/way'));
  const circuit = await ask(alice);
  for (const [request, code] of [
    [put('in/new', 10), 'fine'],
    [put('in/deep/new', 10), 'fine'],
    [put('out', 10), 'AUTH_DENIED'],
    [put('in/way/new', 10), 'AUTH_DENIED'],
    [put('in/way/made/new', 10), 'AUTH_DENIED'],
    [stat('in/old'), 'AUTH_DENIED'],
  ] as const)
    assert.equal(await outcome(circuit, request), code, JSON.stringify(request));
  await assert.rejects(readFile(path.join(root, 'other/made')), { code: 'ENOENT' });
  assert.equal(await outcome(circuit, put('in/big', 101)), 'UPLOAD_DENIED');
  assert.equal(await outcome(await ask(alice), put('in/old', 3, true)), 'DISK_EXISTS');
  assert.equal(await outcome(await ask(bob), put('in/old', 3, true)), 'fine');
});

test('what is asked for over a secure circuit stands in no log', posix, async (t) => {
  const { ask, root, logged } = await guard(t, [lineFor(alice, 'all')]);
  await writeFile(Buffer.concat([Buffer.from(`${root}/docs/`), Buffer.from([0xff]), Buffer.from('-badly-named')]), 'x');
  const circuit = await ask(alice);
  for (const name of ['docs/a.txt', 'docs/nowhere', 'docs', '../outside']) await outcome(circuit, stat(name));
  await list(circuit, 'docs/deep');
  await list(circuit, 'docs');
  assert.equal(await outcome(circuit, put('docs/new', 5)), 'fine');
  assert.equal(await outcome(await ask(alice), put('docs/a.txt', 5)), 'DISK_EXISTS');
  assert.equal(await outcome(await ask(alice), put('docs/a.txt/below', 5)), 'DISK_FAILED');
  await circuit.close();
  await until(() => logged.some((line) => line.includes('circuit served')));
  const told = logged.filter((line) => !line.startsWith('node started')).join('\n');
  assert.match(told, /entries are missing from a listing/);
  for (const name of ['docs', 'a.txt', 'nowhere', 'outside', 'deep', 'badly-named', 'new"', 'below']) {
    assert.ok(!told.includes(name), `${name} in ${told}`);
  }
  assert.ok(!told.includes('SECRET') && !told.includes(alice.public.text));
});

test('who has no line is refused, and told alike', async (t) => {
  const { ask, logged } = await guard(t, [lineFor(alice, 'all'), lineFor(bob, 'all,expires="2001-01-01"')]);
  assert.equal(await outcome(await ask(alice), stat('e.txt')), 'fine');
  for (const who of [bob, eve]) {
    const circuit = await ask(who);
    for (const request of [stat('e.txt'), put('new', 1), stat('nowhere')]) {
      assert.equal(await outcome(circuit, request), 'AUTH_DENIED');
    }
    circuit.send([{ type: 'read', offset: 0, length: 10 }]);
    await assert.rejects(circuit.receive('data'), failsWith('AUTH_DENIED'));
    circuit.send([{ type: 'ping' }]);
    assert.equal((await circuit.receive('pong')).load, undefined);
  }
  assert.equal(await outcome(await ask(undefined), stat('e.txt')), 'AUTH_REQUIRED');
  const plain = await ask('plain', { type: 'ping' });
  assert.equal((await plain.receive('pong')).load, undefined, 'how busy it is, is not for everybody');
  assert.equal(await outcome(plain, stat('e.txt')), 'AUTH_REQUIRED');
  const known = await ask(alice, { type: 'ping' });
  assert.ok((await known.receive('pong')).load);
  const told = logged.join('\n');
  assert.match(told, /hop1\w{8} is not among the authorized keys/);
  assert.match(told, /hop1\w{8} has expired at 2001/);
});

test('clients without a key, and those in plain, have what their lines say', async (t) => {
  const { ask } = await guard(t, ['read="docs/**" anonymous', 'read="e.txt" plain']);
  assert.equal(await outcome(await ask(undefined), stat('docs/a.txt')), 'fine');
  assert.equal(await outcome(await ask(undefined), stat('e.txt')), 'AUTH_DENIED');
  assert.equal(await outcome(await ask('plain'), stat('e.txt')), 'fine');
  assert.equal(await outcome(await ask('plain'), stat('docs/a.txt')), 'AUTH_DENIED');
  const strict = await guard(t, ['read="e.txt" plain'], { requireKey: true });
  assert.equal(await outcome(await strict.ask('plain'), stat('e.txt')), 'AUTH_REQUIRED');
  const open = await guard(t, [], { requireKey: true, authorizedKeys: undefined });
  assert.equal(await outcome(await open.ask('plain'), stat('e.txt')), 'AUTH_REQUIRED');
  assert.equal(await outcome(await open.ask(undefined), stat('e.txt')), 'fine');
});

test('a key has as many circuits as its line says', async (t) => {
  const { ask, node } = await guard(t, [lineFor(alice, 'all,max-circuits="1"')]);
  const first = await ask(alice);
  assert.equal(await outcome(first, stat('e.txt')), 'fine');
  const second = await ask(alice);
  assert.equal(await outcome(second, stat('e.txt')), 'LIMIT_CONNECTIONS');
  await first.close();
  await until(() => node.stats().open <= 1);
  assert.equal(await outcome(await ask(alice), stat('e.txt')), 'fine');
});

test('rights that are taken away end the circuits that have them', async (t) => {
  const { ask, change, logged } = await guard(t, [lineFor(alice, 'all'), lineFor(bob, 'all')]);
  const [hers, his] = [await ask(alice), await ask(bob)];
  for (const circuit of [hers, his]) assert.equal(await outcome(circuit, stat('docs/a.txt')), 'fine');
  await change(lineFor(alice, 'read="docs/**"'), lineFor(bob, 'all,max-circuits="9"'));
  await assert.rejects(hers.receive('status'), failsWith('PEER_LOST', 'SECURE_FAILED'));
  await assert.rejects(his.receive('status'), failsWith('PEER_LOST', 'SECURE_FAILED'));
  const again = await ask(alice);
  assert.equal(await outcome(again, stat('e.txt')), 'AUTH_DENIED');
  // What is wider than before ends nothing, and holds at once.
  await change(lineFor(alice, 'all'));
  assert.equal(await outcome(again, stat('e.txt')), 'fine');
  assert.equal(await outcome(await ask(bob), stat('e.txt')), 'AUTH_DENIED');
  assert.match(logged.join('\n'), /may do less than before/);
});

test('a mistake refuses the start; later the old list goes on without those who are named no more', async (t) => {
  const { ask, change, file, root, logged } = await guard(t, [lineFor(alice, 'read="e.txt"'), lineFor(bob, 'all')]);
  const his = await ask(bob);
  assert.equal(await outcome(his, stat('e.txt')), 'fine');
  // As a write that was cut off leaves it.
  await change(lineFor(alice, 'all'), lineFor(bob, 'all').slice(0, 30));
  await assert.rejects(his.receive('status'), failsWith('PEER_LOST', 'SECURE_FAILED'));
  assert.equal(await outcome(await ask(bob), stat('e.txt')), 'AUTH_DENIED');
  const hers = await ask(alice);
  assert.equal(await outcome(hers, stat('e.txt')), 'fine');
  assert.equal(await outcome(hers, stat('docs/a.txt')), 'AUTH_DENIED', 'the old list');
  assert.match(logged.join('\n'), /authorized_keys:2: read .*; the old list goes on, without 1 of its lines/);
  const start = startNode({ listen: { host: '127.0.0.1', port: 0 }, root, identity, authorizedKeys: file });
  await assert.rejects(start, failsWith('CONFIG_INVALID'));
  await assert.rejects(
    startNode({ listen: { host: '127.0.0.1', port: 0 }, root, authorizedKeys: file }),
    failsWith('USAGE_INVALID'),
  );
});

test('a file that is not there, or that others may write, lets nobody in, until it is mended', posix, async (t) => {
  const { ask, file, node, logged } = await guard(t, [lineFor(alice, 'all')]);
  const text = await readFile(file);
  const refused = async () => (await outcome(await ask(alice), stat('e.txt'))) === 'AUTH_DENIED';
  const fine = async () => (await outcome(await ask(alice), stat('e.txt'))) === 'fine';
  assert.ok(await fine());
  // Nobody tells the node: it looks by itself.
  await chmod(file, 0o664);
  await until(refused);
  assert.match(logged.join('\n'), /has mode 0664, so others may write it.*nobody is let in/);
  await chmod(file, 0o600);
  await until(fine);
  await rm(file);
  await until(refused);
  assert.match(logged.join('\n'), /is not there; nobody is let in/);
  assert.ok((node.stats().failures.CONFIG_INVALID ?? 0) >= 2);
  await writeFile(file, text);
  await until(fine);
});

test('a client whose key has no limits of its own gets as much as the node allows before it has shown that it is there', async (t) => {
  const { node, root } = await guard(t, [lineFor(alice, 'all')], {
    limits: { headMs: 3000, maxUnconfirmedBytes: 2 * mib },
  });
  const bytes = await (await askUnconfirmed(t, { node, root })).bytes;
  assert.ok(bytes >= 2 * mib && bytes <= 2 * mib + 4096, `${bytes} bytes`);
});

test('nothing counts against a key before its client has shown that it is there', async (t) => {
  const { ask, node, root } = await guard(t, [lineFor(alice, 'all,max-circuits="1",limit-rate="1M"')], {
    limits: { headMs: 3000 },
  });
  const received = await askUnconfirmed(t, { node, root });
  await until(() => node.stats().served === 1);
  // She is let in beside it, though she may have one circuit.
  assert.equal(await outcome(await ask(alice), stat('e.txt')), 'fine');
  const bytes = await received.bytes;
  assert.ok(bytes > 1000 && bytes <= mib + 4096, `${bytes} bytes`);
  await until(() => node.stats().failures.TIMEOUT_HEAD === 1);
});
