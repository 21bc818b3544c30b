import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openHostsFile } from '../../../src/io/names/hosts-file.ts';
import { createSystemResolver } from '../../../src/io/names/system-resolver.ts';
import { startNameServer } from '../../support/name-server.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const nobody = { find: async () => [] };
const unasked = () => assert.fail('the system was asked');

test('silent names, however many, keep nobody from a good one, nor files from being read', async (t) => {
  const { address, asked } = await startNameServer(t, (name, family) => {
    if (name !== 'good.example') return undefined;
    return family === 4 ? ['127.0.0.9'] : [];
  });
  const resolve = createSystemResolver({ hosts: nobody, servers: [address], ask: unasked });
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const silent = Array.from({ length: 50 }, (_, index) => resolve(`silent${index}.example`, { signal: stop.signal }));
  const over = Promise.allSettled(silent);
  assert.deepEqual(await resolve('good.example'), ['127.0.0.9']);
  assert.ok((await readFile(fileURLToPath(import.meta.url))).length > 0);
  const still = await Promise.race([Promise.any(silent), Promise.resolve('waiting')]);
  assert.equal(still, 'waiting');
  stop.abort(new Error('enough'));
  assert.ok((await over).every(({ status }) => status === 'rejected'));
  assert.ok(new Set(asked).size > 1);
});

test('a silent name is given up in time, and the system is not asked for it', async (t) => {
  const { address } = await startNameServer(t, () => undefined);
  const resolve = createSystemResolver({ hosts: nobody, servers: [address], ask: unasked, tryMs: 50 });
  await assert.rejects(resolve('silent.example'), { code: 'ETIMEOUT' });
});

test('a server that answers for one family alone is not waited for', async (t) => {
  const { address } = await startNameServer(t, (_name, family) => (family === 4 ? ['127.0.0.9'] : undefined));
  const resolve = createSystemResolver({ hosts: nobody, servers: [address], ask: unasked });
  assert.deepEqual(await resolve('half.example'), ['127.0.0.9']);
});

test('what the name servers do not know, the system may: two names at a time, in turn by peer', async (t) => {
  const { address } = await startNameServer(t, () => 'unknown');
  const begun: string[] = [];
  const answers = new Map<string, (addresses: string[]) => void>();
  const ask = (host: string) =>
    new Promise<readonly string[]>((resolve) => {
      begun.push(host);
      answers.set(host, resolve);
    });
  const resolve = createSystemResolver({ hosts: nobody, servers: [address], ask });
  const look = (host: string, peer: string) => resolve(host, { peer });
  // Names that no server is asked for, so that they come in this order.
  const found = [1, 2, 3, 4].map((index) => look(`a${index}.local`, 'a'));
  found.push(look('b.local', 'b'));
  for (const host of ['a1.local', 'a2.local', 'a3.local', 'b.local', 'a4.local']) {
    while (!answers.has(host)) await new Promise(setImmediate);
    assert.ok(begun.length - begun.indexOf(host) <= 2, begun.join());
    answers.get(host)?.(['127.0.0.1']);
  }
  await Promise.all(found);
  const unknown = look('short', 'a');
  while (!answers.has('short')) await new Promise(setImmediate);
  answers.get('short')?.(['127.0.0.3']);
  assert.deepEqual(await unknown, ['127.0.0.3']);
});

test('names of the hosts file are looked up nowhere else, and what is new there is found', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'hosts');
  await writeFile(file, '# 10.0.0.1 not.this\r\n127.0.0.2\tOne.example one # two\r\n::1 one\n127.0.0.2 one\nfoo one\n');
  const resolve = createSystemResolver({ hosts: openHostsFile(file), servers: ['127.0.0.1:1'], ask: async () => [] });
  assert.deepEqual(await resolve('ONE.example.'), ['127.0.0.2']);
  assert.deepEqual(await resolve('one'), ['127.0.0.2', '::1']);
  assert.deepEqual(await resolve('two'), []);
  await writeFile(file, '127.0.0.3 two\n');
  assert.deepEqual(await resolve('two'), ['127.0.0.3']);
  assert.deepEqual(
    await createSystemResolver({ hosts: openHostsFile(path.join(root.path, 'none')), ask: async () => [] })('x.local'),
    [],
  );
});

test('this machine knows itself', async () => {
  assert.ok(
    (await createSystemResolver()('localhost')).some((address) => address === '127.0.0.1' || address === '::1'),
  );
});
