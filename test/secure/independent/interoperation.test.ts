/** A second implementation, made from the documents alone, against the program: what the documents say is what it does. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { startPeer } from '../../support/chain.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { repository } from '../../support/repository.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { publicOf } from './spec-noise.ts';
import { type SpecServed, specGet, specServe } from './spec-peers.ts';
import { specKeyBytes, specKeyText } from './spec-wire.ts';

/** Three pieces of a node, one READ of which comes with the first message. */
const contentBytes = 2_500_000;

function secretText(secret: Buffer): string {
  return `${specKeyText('hop-secret-key-', secret).toUpperCase()}\n`;
}

async function startNode(t: Parameters<typeof startProgram>[0], args: readonly string[]): Promise<string> {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', ...args]);
  const text = await node.saw(/listening on 127\.0\.0\.1:\d+/);
  return /127\.0\.0\.1:\d+/.exec(text)?.[0] ?? '';
}

test('nothing of the second implementation comes from the first', async () => {
  const folder = new URL('test/secure/independent/', repository);
  const own = (await readdir(folder)).filter((name) => name.startsWith('spec-'));
  assert.equal(own.length, 3);
  for (const name of own) {
    const text = await readFile(new URL(name, folder), 'utf8');
    for (const [, from = ''] of text.matchAll(/from '([^']+)'/g)) assert.match(from, /^node:|^\.\/spec-/, name);
  }
});

for (const own of [randomBytes(32), undefined]) {
  test(`its client, ${own ? 'with a key' : 'without one'}, brings a file over three nodes`, async (t) => {
    const root = await makeTempRoot(t);
    const content = await root.writeRandom('content.bin', contentBytes);
    const secret = randomBytes(32);
    const places = (await makeTempRoot(t)).path;
    const identity = path.join(places, 'node.key');
    await writeFile(identity, secretText(secret), { mode: 0o600 });
    const authorized = path.join(places, 'authorized_keys');
    const who = own ? specKeyText('hop', publicOf(own)) : 'anonymous';
    await writeFile(authorized, `read="content.bin" ${who}\n`, { mode: 0o644 });
    const hops = [
      await startNode(t, []),
      await startNode(t, []),
      await startNode(t, ['--root', root.path, '--identity', identity, '--authorized-keys', authorized]),
    ];
    const port = Number(hops[0]?.split(':')[1]);
    const asked = { port, hops, node: publicOf(secret), name: 'content.bin', ...(own ? { own } : {}) };
    const got = await specGet(asked);
    assert.equal(got.welcome.early, true);
    assert.ok(got.content.equals(content));
    // A line for another client is none for this one.
    await assert.rejects(specGet({ ...asked, own: randomBytes(32) }), /AUTH_DENIED/);
  });
}

for (const isEarly of [true, false]) {
  for (const hasKey of [true, false]) {
    const how = `${isEarly ? 'at once' : 'after a trip'}, to a client ${hasKey ? 'with a key' : 'without one'}`;
    test(`its node gives a file to the program ${how}`, async (t) => {
      const secret = randomBytes(32);
      const content = randomBytes(contentBytes);
      const served: Promise<SpecServed>[] = [];
      const peer = await startPeer(t, (socket) => served.push(specServe(socket, secret, content, isEarly)));
      const folder = (await makeTempRoot(t)).path;
      const own = randomBytes(32);
      const identity = path.join(folder, 'id.key');
      if (hasKey) await writeFile(identity, secretText(own), { mode: 0o600 });
      const via = `${peer.address}#${specKeyText('hop', publicOf(secret))}`;
      const { code, stdout, stderr } = await runProgram(
        t,
        ['get', 'content.bin', '--via', via, '-o', 'here.bin', ...(hasKey ? ['--identity', identity] : [])],
        { cwd: folder, env: { XDG_CONFIG_HOME: folder } },
      );
      assert.equal(code, 0, stdout + stderr);
      assert.ok((await readFile(path.join(folder, 'here.bin'))).equals(content));
      const [first] = await Promise.all(served);
      assert.equal(first?.pattern, hasKey ? 1 : 0);
      if (hasKey) assert.deepEqual(first?.client, publicOf(own));
      assert.deepEqual(first?.early, ['stat', 'read']);
      assert.ok(first?.later.includes('read'));
      assert.equal(first?.ended, true);
    });
  }
}

test('its keys are written and read as those of the program', async (t) => {
  const folder = (await makeTempRoot(t)).path;
  const file = path.join(folder, 'made.key');
  const made = await runProgram(t, ['key', 'new', '-o', file]);
  assert.equal(made.code, 0, made.stderr);
  const secret = /^HOP-SECRET-KEY-1\S+$/m.exec(await readFile(file, 'utf8'))?.[0] ?? '';
  const known = /hop1\S+/.exec(made.stdout)?.[0] ?? '';
  assert.equal(specKeyText('hop', publicOf(specKeyBytes(secret))), known);
  assert.equal(secretText(specKeyBytes(secret)).trim(), secret);
});
