import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { download, type HoplineError, parseVia, type RunningNode } from '../../src/index.ts';
import { startChain } from '../support/chain.ts';
import { inputText, runOriginalClient, settled, startOriginal } from '../support/classic-peers.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const limits = { quietMs: 30, lingerMs: 300 };

interface Mixed {
  readonly hops: readonly { readonly port: number; readonly address: string }[];
  readonly nodes: readonly RunningNode[];
}

/** A chain with a node of ours for each `N` and an original for each `o`, all with the same files. */
async function startMixed(t: TestContext, kinds: string, root: string, files: Map<string, Buffer>): Promise<Mixed> {
  const { nodes } = await startChain(t, kinds.split('N').length - 1, root, { limits });
  const left = [...nodes];
  const hops = [];
  for (const kind of kinds) {
    const node = kind === 'N' ? left.shift() : undefined;
    if (node) hops.push({ port: node.address.port, address: `127.0.0.1:${node.address.port}` });
    else hops.push(await startOriginal(t, files));
  }
  return { hops, nodes };
}

const allOfThree = ['ooo', 'ooN', 'oNo', 'oNN', 'Noo', 'NoN', 'NNo', 'NNN'];

for (const kinds of [...allOfThree, 'N', 'NN', 'o', 'oo']) {
  test(`both clients get whole files from the chain ${kinds} (N: a node, o: an original)`, async (t) => {
    const root = await makeTempRoot(t);
    const out = await makeTempRoot(t);
    const files = new Map<string, Buffer>();
    for (const size of [0, 1, 20_000, 5_000_000]) files.set(`${size}.bin`, await root.writeRandom(`${size}.bin`, size));
    const { hops, nodes } = await startMixed(t, kinds, root.path, files);
    for (const [name, content] of files) {
      const route = parseVia(hops.map(({ address }) => address).join(), name);
      const result = await download({ route, classic: true, output: out.path, limits });
      assert.equal(result.verified, false);
      assert.ok(content.equals(await readFile(path.join(out.path, name))), `our client, ${name}`);
      // An original first hop may reset its client before the end of a file; that race is between the two.
      const races = (kinds === 'o' || kinds === 'oo') && content.length > 0;
      if (races) continue;
      const received = await runOriginalClient(inputText(name, hops));
      assert.equal(received.answer, String(content.length));
      assert.ok(content.equals(received.content), `the original client, ${name}: ${received.content.length} bytes`);
    }
    // Two original proxies in a row wait for each other for ever, and hold what they hold.
    if (!kinds.includes('oo')) assert.equal(await settled(nodes), 'nothing is left');
  });

  test(`both clients learn from the chain ${kinds} that there is no such file`, async (t) => {
    const root = await makeTempRoot(t);
    const out = await makeTempRoot(t);
    const { hops, nodes } = await startMixed(t, kinds, root.path, new Map());
    const route = parseVia(hops.map(({ address }) => address).join(), 'missing');
    await assert.rejects(download({ route, classic: true, output: out.path, limits }), (error: HoplineError) => {
      assert.equal(error.code, 'FILE_NOT_FOUND');
      return true;
    });
    assert.equal((await runOriginalClient(inputText('missing', hops))).answer, 'NA');
    assert.deepEqual(await out.list(), []);
    if (!kinds.includes('oo')) assert.equal(await settled(nodes), 'nothing is left');
  });
}
