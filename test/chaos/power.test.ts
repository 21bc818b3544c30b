import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { losePower } from '../../chaos/power.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const preload = new URL('chaos/synced-copies.mjs', repository).href;

/** Writes three files in the current directory: one that is synced whole, one in its middle, one never. */
const writer = `
  import { link, open, rename, unlink } from 'node:fs/promises';
  const synced = await open('.synced.part', 'wx');
  await synced.write('all of it');
  await synced.sync();
  await link('.synced.part', 'synced');
  await unlink('.synced.part');
  const half = await open('.half.part', 'ax');
  await half.appendFile('this lasts');
  await half.datasync();
  await half.appendFile(', and this does not');
  await rename('.half.part', 'half');
  const never = await open('never', 'wx');
  await never.write('nothing');
  const directory = await open('.');
  await directory.sync();
`;

test('without power each file keeps what was synced of it, under the name that it has by then', {
  skip: process.platform !== 'linux' && 'there is no /proc here',
}, async (t) => {
  const root = await makeTempRoot(t);
  const [out, synced] = [path.join(root.path, 'out'), path.join(root.path, 'synced')];
  await mkdir(out);
  await mkdir(synced);
  const args = ['--import', preload, '--input-type=module', '-e', writer];
  await promisify(execFile)(process.execPath, args, { cwd: out, env: { ...process.env, CHAOS_SYNCED: synced } });
  losePower(out, synced);
  const read = (name: string) => readFile(path.join(out, name), 'latin1');
  assert.equal(await read('synced'), 'all of it');
  assert.equal(await read('half'), `this lasts${'\0'.repeat(', and this does not'.length)}`);
  assert.equal(await read('never'), '\0'.repeat('nothing'.length));
});
