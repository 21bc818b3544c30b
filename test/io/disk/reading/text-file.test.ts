import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { readTextFile } from '../../../../src/io/disk/reading/text-file.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const posix = { skip: process.platform === 'win32' };
const rules = { what: 'the text', code: 'CONFIG_INVALID', maxBytes: 100_000 } as const;

test('a text of the longest length is read, and of a longer one no more than to know that', posix, async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'text');
  for (const length of [0, 1, 65_536, 100_000]) {
    await fs.writeFile(file, 'x'.repeat(length));
    assert.equal(await readTextFile(file, rules), 'x'.repeat(length));
  }
  const tooLong = { code: 'CONFIG_INVALID', message: /cannot read the text .*: it is larger than 100000 bytes$/ };
  await fs.writeFile(file, 'x'.repeat(100_001));
  await assert.rejects(readTextFile(file, rules), tooLong);
  await assert.rejects(readTextFile('/dev/zero', rules), tooLong);
  await assert.rejects(readTextFile(path.dirname(file), rules), {
    code: 'CONFIG_INVALID',
    message: /it is a directory/,
  });
});

test('a text comes out of a pipe in parts', posix, async (t) => {
  const pipe = path.join((await makeTempRoot(t)).path, 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const reading = readTextFile(pipe, rules);
  const writer = await fs.open(pipe, 'w');
  for (let part = 0; part < 3; part += 1) await writer.write('abc');
  await writer.close();
  assert.equal(await reading, 'abcabcabc');
});

test('a text that nobody has asked for is not read where anybody may write it', posix, async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'text');
  await fs.writeFile(file, 'x');
  await fs.chmod(file, 0o666);
  assert.equal(await readTextFile(file, rules), 'x');
  const refused = { code: 'CONFIG_INVALID', message: /: anybody may write it; chmod o-w / };
  await assert.rejects(readTextFile(file, { ...rules, isUnasked: true }), refused);
  await fs.chmod(file, 0o664);
  assert.equal(await readTextFile(file, { ...rules, isUnasked: true }), 'x');
});
