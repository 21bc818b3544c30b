/** What may stand at the end of a command line: commands, flags, values, names of routes, and what an origin has. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { completeLine } from '../../../src/cli/completion/complete-line.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { addressOf, startChain } from '../../support/chain.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

/** What is offered behind `words`: each word, and first the kind of files that may stand there, if any may. */
async function offered(...words: string[]): Promise<string[]> {
  // A program remembers the flags that it has read.
  const { files, candidates } = await completeLine(await createProgram(words[0]), words);
  return [...(files === 'none' ? [] : [files]), ...candidates.map(({ word }) => word)];
}

test('commands, flags and the values that flags may have are offered as the commands name them', async () => {
  assert.ok((await offered('')).includes('gateway'));
  assert.deepEqual(await offered('ge'), ['get']);
  assert.deepEqual(await offered('help', 'ge'), ['get']);
  assert.deepEqual(await offered('key', 's'), ['show', 'scan']);
  assert.deepEqual(await offered('completion', ''), ['bash', 'zsh', 'fish']);
  assert.deepEqual(await offered('get', '--no'), ['--no-resume']);
  assert.deepEqual(await offered('get', '--progress', ''), ['bar', 'plain', 'json', 'none']);
  assert.deepEqual(await offered('get', '--progress=pl'), ['--progress=plain']);
  assert.deepEqual(await offered('node', '--root', ''), ['directories']);
  assert.deepEqual(await offered('node', '--config='), ['files']);
  assert.deepEqual(await offered('node', '--workers', ''), []);
  assert.deepEqual(await offered('check', ''), ['files']);
  assert.deepEqual(await offered('check', 'hopline.yaml', ''), []);
  assert.deepEqual(await offered('get', 'route.txt', '--', '--no'), [], 'behind -- stand no flags');
  assert.deepEqual(await offered('get', '--retry', 'often', ''), [], 'behind what get refuses stands nothing');
  assert.deepEqual(await offered('nothing', 'like', 'this'), []);
});

test('names of routes are offered, and behind them what their origin has', async (t) => {
  const served = (await makeTempRoot(t)).path;
  const folder = (await makeTempRoot(t)).path;
  await mkdir(path.join(served, 'reports/old'), { recursive: true });
  for (const name of ['top.txt', '-flag', 'reports/june.pdf', 'reports/my may.pdf', 'reports/\u001b[2Jx'])
    await writeFile(path.join(served, name), 'content');
  const chain = await startChain(t, 2, served);
  const hops = chain.nodes.map(addressOf);
  process.env.HOPLINE_CONFIG = path.join(folder, 'config.yaml');
  t.after(() => delete process.env.HOPLINE_CONFIG);
  await writeFile(process.env.HOPLINE_CONFIG, `routes: { eu: [${hops}], east: [${hops[1]}], us: [127.0.0.1:1] }\n`);
  const route = path.join(folder, 'route.txt');
  await writeFile(route, `x\n${hops.map((hop) => hop.replace(':', ' ')).join('\n')}\n`);

  // An origin has a second to say what it has, and on a busy machine needs longer.
  const listed = async (...words: string[]) => {
    for (;;) {
      const names = await offered(...words);
      if (names.length > 0 || t.signal.aborted) return names;
    }
  };
  assert.deepEqual(await offered('get', 'e'), ['files', 'eu:', 'east:']);
  assert.deepEqual(await listed('get', 'eu:'), ['eu:-flag', 'eu:reports/', 'eu:top.txt']);
  // A name that would move the cursor is not offered.
  assert.deepEqual(await listed('get', 'eu:reports/'), [
    'eu:reports/june.pdf',
    'eu:reports/my may.pdf',
    'eu:reports/old/',
  ]);
  assert.deepEqual(await listed('get', 'eu:', 'reports/j'), ['reports/june.pdf']);
  assert.deepEqual(await listed('get', route, ''), ['reports/', 'top.txt'], 'what would be a flag is not offered');
  assert.deepEqual(await listed('ls', '--via', hops.join(), 'reports/'), ['reports/old/']);
  assert.deepEqual(await offered('put', ''), ['files']);
  assert.deepEqual(await listed('put', 'x', 'eu:r'), ['eu:reports/']);
  assert.deepEqual(await offered('put', '--via', hops.join(), 'x', ''), ['files']);
  assert.deepEqual(await offered('verify', route, ''), ['files'], 'what it compares is a file here');
  assert.deepEqual(await listed('verify', 'eu:t'), ['eu:top.txt']);
  assert.deepEqual(await offered('trace', 'eu:'), []);
  assert.deepEqual(await offered('get', 'us:'), [], 'nobody is there');
  assert.deepEqual(await offered('get', 'no-such-route.txt', ''), []);
  await writeFile(process.env.HOPLINE_CONFIG, 'routes: [');
  assert.deepEqual(await offered('get', 'e'), [], 'settings with a mistake');
});

test('an origin that says nothing is waited for no longer than a second', async (t) => {
  const silent = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as net.AddressInfo;
  // Before any other limit would end it: the first of those is two seconds.
  const late = new AbortController();
  const names = await Promise.race([
    offered('get', '--via', `127.0.0.1:${port}`, ''),
    pause(1900, 'late', { signal: late.signal }),
  ]);
  late.abort();
  assert.deepEqual(names, []);
});
