import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { holdKeyFile } from '../../../src/secure/keys/held-key.ts';
import { createKeyFile } from '../../../src/secure/keys/key-file.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const skip = process.platform === 'win32' && 'there are no FIFOs';

test('a node has its key from a FIFO, whose writer gives it once', { skip }, async (t) => {
  const { path: directory } = await makeTempRoot(t);
  const fifo = path.join(directory, 'key');
  execFileSync('mkfifo', ['-m', '600', fifo]);
  const { key, secretText } = newKey();
  const [held] = await Promise.all([holdKeyFile(fifo), writeFile(fifo, secretText)]);
  assert.ok(held.key.public.equals(key.public));
  await held.release();
});

test('where the system locks no files, the file beside the key says which process has it', async (t) => {
  const { path: directory } = await makeTempRoot(t);
  const file = path.join(directory, 'node.key');
  await createKeyFile(file, new Date());
  const lock = `${file}.lock`;
  await writeFile(lock, `${process.ppid}\n`);
  await assert.rejects(holdKeyFile(file, {}), { code: 'KEY_INVALID', message: /is in use by another node/ });
  const { pid } = spawnSync(process.execPath, ['--version']);
  await writeFile(lock, `${pid} and more\n`);
  const held = await holdKeyFile(file, {});
  assert.equal(await readFile(lock, 'utf8'), `${process.pid}\n`);
  await held.release();
  assert.equal(await readFile(lock, 'utf8'), '');
});
