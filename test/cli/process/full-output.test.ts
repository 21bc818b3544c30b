/** Results that stdout does not take: the command says so in the end. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { startNode } from '../../../src/index.ts';
import { mainFile } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const skip = !existsSync('/dev/full') && 'no /dev/full';

function runInto(t: TestContext, place: string, args: readonly string[]) {
  const output = openSync(place, 'w');
  t.after(() => closeSync(output));
  return spawnSync(process.execPath, [mainFile, ...args], {
    stdio: ['ignore', output, 'pipe'],
    encoding: 'utf8',
    timeout: 120_000,
  });
}

test('results that do not fit on the disk are a failure, and what was done besides is done', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const { status, stderr } = runInto(t, '/dev/full', ['key', 'new', '-o', path.join(root.path, 'a.key')]);
  assert.equal(status, 8, stderr);
  assert.match(stderr, /^hopline: cannot write the output: the disk is full\n {2}hint: /m);
  assert.deepEqual(await root.list(), ['a.key']);
});

for (const args of ['--version', '--help', 'node --help', 'help get', 'completion bash']) {
  test(`so is what \`hopline ${args}\` prints`, { skip }, (t) => {
    const { status, stderr } = runInto(t, '/dev/full', args.split(' '));
    assert.equal(status, 8, stderr);
    assert.match(stderr, /^hopline: cannot write the output: the disk is full\n {2}hint: .*\n$/);
  });
}

test('a failure whose words do not fit is told by its exit code, and by a line', { skip }, (t) => {
  for (const args of [
    ['get', '--json', '--via', '127.0.0.1:9', 'any'],
    ['trace', '-c', '1', '--via', '127.0.0.1:9'],
  ]) {
    const { status, stderr } = runInto(t, '/dev/full', args);
    assert.equal(status, 4, stderr);
    assert.match(stderr, /^hopline: cannot write the output: the disk is full\n {2}hint: .*\n$/);
  }
});

test('content that does not fit is told of once', { skip }, async (t) => {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, root: path.dirname(mainFile) });
  t.after(() => node.close({ graceMs: 0 }));
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const args = [mainFile, 'get', '--via', `127.0.0.1:${node.address.port}`, path.basename(mainFile), '-o', '-'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
  const [stderr, [status]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')]);
  assert.equal(status, 8, stderr);
  assert.equal(stderr.match(/the disk is full/g)?.length, 1, stderr);
});

test('a reader that has gone is no failure', async () => {
  for (const args of [['--version'], ['--help']]) {
    const child = spawn(process.execPath, [mainFile, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    assert.deepEqual([status, stderr], [0, '']);
  }
});
