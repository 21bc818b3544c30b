/** Transfers of clients whose key may do some of what they ask for. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { download, downloadFiles, downloadTree, upload } from '../../src/index.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { parseVia } from '../../src/wire/route.ts';
import { startChain, until } from '../support/chain.ts';
import { keyed } from '../support/keyed.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const [node, client] = [newKey().key, newKey().key];
const limits = { retryMinMs: 1, retryMaxMs: 2 };

async function start(t: TestContext, line: string) {
  const [root, out] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (const name of ['docs/a', 'docs/b', 'other/c']) await root.writeRandom(name, 2000);
  const authorizedKeys = path.join(out.path, 'authorized_keys');
  await writeFile(authorizedKeys, line, { mode: 0o600 });
  const more = { identity: node, authorizedKeys, uploads: {}, next: ['127.0.0.1'] };
  const { route, nodes } = await startChain(t, 2, root.path, more);
  return { root, out, nodes, route, secure: (file: string) => keyed(route(file), node.public) };
}

function failsWith(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoplineError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

test('files that a key may have come, and one that it may not leaves the others be', async (t) => {
  const { root, out, secure } = await start(t, `read="docs/**" ${client.public.text}`);
  const { routes } = secure('docs/a');
  const output = path.join(out.path, 'got');
  const common = { identity: client, limits };
  const files = ['docs/a', 'other/c', 'docs/b'];
  const outcomes = await downloadFiles({ routes, files, output: `${output}/`, ...common });
  assert.deepEqual(
    outcomes.map(({ error }) => error?.code),
    [undefined, 'AUTH_DENIED', undefined],
  );
  await downloadTree({ routes: secure('.').routes, directory: '.', output: path.join(out.path, 'tree'), ...common });
  assert.deepEqual(await readFile(path.join(out.path, 'tree/docs/b')), await readFile(path.join(root.path, 'docs/b')));
  await assert.rejects(readFile(path.join(out.path, 'tree/other/c')), { code: 'ENOENT' });
  const denied = failsWith('AUTH_DENIED', /hop 2 .*, the origin, does not let this client have "other\/c"/);
  await assert.rejects(download({ route: secure('other/c'), output, ...common }), denied);
  const source = path.join(root.path, 'docs/a');
  await assert.rejects(upload({ route: secure('docs/new'), source, ...common }), failsWith('AUTH_DENIED', /docs\/new/));
});

test('a transfer over more circuits than its key may have comes over those', async (t) => {
  const line = `read="**",max-circuits="1",limit-rate="8M" ${client.public.text}`;
  const { root, out, nodes, secure } = await start(t, line);
  const content = await root.writeRandom('large', 3 * 1024 * 1024 + 7);
  const output = path.join(out.path, 'large');
  for (let run = 0; run < 2; run += 1) {
    await download({ route: secure('large'), output, force: true, parallel: 4, identity: client, limits });
    assert.deepEqual(await readFile(output), content);
    // The origin counts those that are left until it has seen that they are.
    await until(() => nodes.every((each) => each.stats().open === 0));
  }
});

test('a key that may only write has its upload done where the answer to COMMIT is lost', async (t) => {
  const { root, out, nodes } = await start(t, `write="**",no-replace ${client.public.text}`);
  const [origin] = nodes.slice(-1);
  let cuts = 0;
  const back = (bytes: Buffer) => {
    if (origin?.stats().uploaded !== 1 || cuts > 0) return bytes;
    cuts += 1;
    return null;
  };
  const address = await startTamperer(t, origin?.address.port ?? 0, { back });
  const content = randomBytes(2_500_000);
  const source = path.join(out.path, 'source');
  await writeFile(source, content);
  const route = keyed(parseVia(address, 'new.bin'), node.public);
  const result = await upload({ source, route, identity: client, limits });
  assert.equal(cuts, 1);
  assert.equal(result.verifiedBy, node.public.text);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.equal(origin?.stats().uploaded, 1);
});

test('the classic dialect is plain, and says no more than that there is no such file', async (t) => {
  const { root, out, route } = await start(t, `all ${client.public.text}\nread="docs/a" plain`);
  const get = (file: string) => {
    const output = path.join(out.path, path.basename(file));
    return download({ route: route(file), classic: true, output, limits });
  };
  await get('docs/a');
  assert.deepEqual(await readFile(path.join(out.path, 'a')), await readFile(path.join(root.path, 'docs/a')));
  await assert.rejects(get('docs/b'), failsWith('FILE_NOT_FOUND', /docs\/b/));
  const strict = await start(t, `all ${client.public.text}`);
  const refused = download({ route: strict.route('docs/a'), classic: true, output: path.join(out.path, 'no'), limits });
  await assert.rejects(refused, failsWith('FILE_NOT_FOUND', /docs\/a/));
});

test('a client without a key, or with another, is told at once', async (t) => {
  const { out, route, secure } = await start(t, `all ${client.public.text}`);
  const output = path.join(out.path, 'got');
  const required = failsWith('AUTH_REQUIRED', /hop 2 .*, the origin, asks for a key/);
  await assert.rejects(download({ route: route('docs/a'), output, limits }), required);
  await assert.rejects(download({ route: secure('docs/a'), output, limits }), required);
  const identity = newKey().key;
  const unknown = download({ route: secure('docs/a'), output, limits, identity });
  await assert.rejects(unknown, failsWith('AUTH_DENIED', /does not let this client/));
  const { routes } = secure('docs/a');
  const outcomes = await downloadFiles({ routes, files: ['docs/a', 'docs/b'], output: `${output}/`, limits, identity });
  for (const { error } of outcomes) assert.equal(error?.code, 'AUTH_DENIED');
});
