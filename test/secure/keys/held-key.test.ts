import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { holdKeyFile } from '../../../src/secure/keys/held-key.ts';
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
