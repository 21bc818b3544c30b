/** `NAME:FILE` as people type it: files to and from the origin of a named route. */

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { addressOf, startChain } from '../../support/chain.ts';
import { lastLine, startHome } from '../../support/home.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('put and get go over a route that has a name, with the flags of the settings', async (t) => {
  const { root, env, run } = await startHome(t);
  const served = await makeTempRoot(t);
  const chain = await startChain(t, 2, served.path, { uploads: {} });
  const content = await root.writeRandom('june.pdf', 3000);
  await mkdir(path.join(env.XDG_CONFIG_HOME ?? '', 'hopline'), { recursive: true });
  const hops = chain.nodes.map(addressOf);
  const settings = `routes:\n  eu: [${hops.join(', ')}]\ndefaults: {get: {json: true, output: got}}\n`;
  await writeFile(path.join(env.XDG_CONFIG_HOME ?? '', 'hopline', 'config.yaml'), settings);

  const put = await run(['put', 'june.pdf', 'eu:reports/']);
  assert.equal(put.code, 0, put.stderr);
  assert.match(put.stdout, /sent +june\.pdf as reports\/june\.pdf\n/);
  const got = await run(['get', 'eu:reports/june.pdf']);
  assert.equal(got.code, 0, got.stderr);
  assert.deepEqual([lastLine(got).event, lastLine(got).path], ['done', path.join(root.path, 'got')]);
  assert.deepEqual(await readFile(path.join(root.path, 'got')), content);
  const [listed, mixed, empty] = await Promise.all([
    run(['routes', '--json']),
    run(['get', 'eu:a', 'b'], { env: { HOPLINE_JSON: '0' } }),
    run(['get', 'eu:']),
  ]);
  assert.deepEqual(lastLine(listed), { name: 'eu', via: [hops.join(',')] });
  assert.match(mixed.stderr, /^hopline: b is not behind eu:, as eu:a is; name the route once, as in eu: a b\n/);
  assert.equal(lastLine(empty).message, 'eu: needs a file behind it; eu:. is all that its origin serves');
});
