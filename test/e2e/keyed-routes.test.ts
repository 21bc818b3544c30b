/** Routes that are written with a key: whatever is asked over them is encrypted. */

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  download,
  downloadFiles,
  downloadTree,
  type ErrorCode,
  HoplineError,
  type NodeOptions,
  parseVia,
  RemoteFiles,
  type RunningNode,
  upload,
} from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const name = 'a-name-to-hide.bin';
const { key: identity } = newKey();
const key = identity.public.text;

interface Fixture {
  readonly root: TempRoot;
  readonly out: TempRoot;
  readonly content: Buffer;
  readonly nodes: readonly RunningNode[];
  /** Somebody before the first node who reads along. */
  readonly first: string;
  /** Fails if whoever reads along has seen the name or the content, or nothing at all. */
  assertHidden(): void;
}

async function start(t: TestContext, count: number, options: Partial<NodeOptions> = {}): Promise<Fixture> {
  const [root, out] = [await makeTempRoot(t), await makeTempRoot(t)];
  await mkdir(path.join(root.path, 'dir'));
  const content = await root.writeRandom(`dir/${name}`, 3 * mib + 5);
  const { nodes } = await startChain(t, count, root.path, { identity, next: ['127.0.0.1'], uploads: {}, ...options });
  const seen: Buffer[] = [];
  const note = (bytes: Buffer) => {
    seen.push(Buffer.from(bytes));
    return bytes;
  };
  const first = await startTamperer(t, (nodes[0] as RunningNode).address.port, { forward: note, back: note });
  return {
    ...{ root, out, content, nodes, first },
    assertHidden: () => {
      const all = Buffer.concat(seen);
      assert.ok(all.length > 1000);
      assert.ok(!all.includes(name), 'the name passed in plain');
      assert.ok(!all.includes(content.subarray(mib, mib + 64)), 'the content passed in plain');
    },
  };
}

const refused = (code: ErrorCode, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof HoplineError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  return true;
};

test('files, directories and uploads are encrypted to the key of the last hop', async (t) => {
  const { root, out, content, nodes, first, assertHidden } = await start(t, 3);
  const via = `${first},${addressOf(nodes[1] as RunningNode)},${addressOf(nodes[2] as RunningNode)}#${key}`;
  const route = parseVia(via, `dir/${name}`);
  const own = { identity: newKey().key };
  const result = await download({ route, output: path.join(out.path, 'one'), ...own });
  assert.ok(result.encrypted);
  assert.ok((await readFile(path.join(out.path, 'one'))).equals(content));
  await download({ route, output: path.join(out.path, 'two'), parallel: 2 });
  const outcomes = await downloadFiles({ routes: route.routes, files: [`dir/${name}`], output: out.path, ...own });
  assert.equal(outcomes[0]?.error, undefined);
  await downloadTree({ routes: route.routes, directory: 'dir', output: path.join(out.path, 'tree'), ...own });
  assert.ok((await readFile(path.join(out.path, 'tree', 'dir', name))).equals(content));
  const up = { source: path.join(out.path, 'one'), route: { ...route, file: `up-${name}` } };
  assert.ok((await upload({ ...up, ...own })).encrypted);
  assert.ok((await readFile(path.join(root.path, `up-${name}`))).equals(content));
  const files = new RemoteFiles({ routes: route.routes });
  t.after(() => files.close());
  // The second one over a circuit that the first has left.
  for (let time = 0; time < 2; time += 1) {
    const file = await files.open(`dir/${name}`, { ahead: { offset: 0, length: 5 } });
    for await (const part of file.read(0, 5)) assert.ok(content.subarray(0, 5).equals(part as Buffer));
    await file.close();
  }
  assertHidden();
});

test('whoever stands in for a pool has the keys of the pool', async (t) => {
  const { out, nodes, first, assertHidden, root } = await start(t, 2);
  const member = { host: '127.0.0.1', port: (nodes[1] as RunningNode).address.port as Port };
  const relay = await startChain(t, 1, root.path, { pools: [{ name: 'them', members: [member] }] });
  const before = await startTamperer(t, (relay.nodes[0] as RunningNode).address.port, {});
  const far = parseVia(`${first},${before},@them#${key}`, `dir/${name}`);
  assert.ok((await download({ route: far, output: path.join(out.path, 'far') })).encrypted);
  const [host = '', port] = first.split(':');
  const pools = [{ name: 'mine', members: [{ host, port: Number(port) as Port }] }];
  const near = parseVia(`@mine#${key}`, `dir/${name}`);
  assert.ok((await download({ route: near, pools, output: path.join(out.path, 'near') })).encrypted);
  assertHidden();
});

test('another way, and a later run, are encrypted as the first was', async (t) => {
  const { out, content, nodes, first, assertHidden } = await start(t, 2);
  const [, origin] = nodes as [RunningNode, RunningNode];
  let left = mib + 500_000;
  const cutting = await startTamperer(t, Number(first.split(':')[1]), {
    back: (bytes) => {
      left -= bytes.length;
      return left > 0 ? bytes : null;
    },
  });
  const limits = { maxReadsAhead: 1, retryMinMs: 1, retryMaxMs: 5 };
  const output = path.join(out.path, 'file');
  const once = parseVia(`${cutting},${addressOf(origin)}#${key}`, `dir/${name}`);
  await assert.rejects(download({ route: once, output, retry: 0, limits }), HoplineError);
  left = 700_000;
  const both = parseVia(`${cutting}|${first},${addressOf(origin)}#${key}`, `dir/${name}`);
  const result = await download({ route: both, output, limits });
  assert.ok(result.resumedBytes > 0);
  assert.ok(result.reroutes > 0);
  assert.ok((await readFile(output)).equals(content));
  assertHidden();
});

test('only the first of several keys is spoken to, whoever refuses', async (t) => {
  const { out, nodes } = await start(t, 2);
  const route = parseVia(`${nodes.map(addressOf).join(',')}#${newKey().key.public.text}#${key}`, `dir/${name}`);
  await assert.rejects(download({ route, output: out.path }), refused('SECURE_FAILED', /./));
});
