import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { newKey } from '../../../src/wire/keys/key.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('hopline key check tells all mistakes of authorized keys, and what others may write', {
  skip: process.platform === 'win32',
}, async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'authorized_keys');
  const key = newKey().key.public.text;
  await writeFile(file, `all ${key}\nall,expires="2001-01-01" anonymous\n`, { mode: 0o644 });
  const valid = await runProgram(t, ['key', 'check', file]);
  assert.equal(valid.code, 0, valid.stderr);
  assert.match(valid.stderr, /valid, 2 lines with rights, 1 of them expired/);
  await writeFile(file, `${key}\nall ${key}x\n`);
  const wrong = await runProgram(t, ['key', 'check', file]);
  assert.equal(wrong.code, 13);
  assert.match(wrong.stderr, /authorized_keys:1: read no right/);
  assert.match(wrong.stderr, /authorized_keys:2: read "hop1/);
  const json = await runProgram(t, ['key', 'check', '--json', file]);
  assert.equal(json.code, 13);
  assert.equal(JSON.parse(json.stdout).problems.length, 2);
  const config = path.join(root.path, 'hopline.yaml');
  await writeFile(config, 'security: {authorized-keys: ./authorized_keys}\n');
  const checked = await runProgram(t, ['check', config]);
  assert.equal(checked.code, 13);
  assert.match(checked.stderr, /authorized_keys:2: read "hop1/);
  await chmod(file, 0o664);
  assert.match((await runProgram(t, ['key', 'check', file])).stderr, /has mode 0664, so others may write it/);
  assert.match((await runProgram(t, ['key', 'check', `${file}x`])).stderr, /is not there/);
});

test('ten mistakes in authorized keys are ten lines', async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'authorized_keys');
  const key = newKey().key.public.text;
  const other = () => newKey().key.public.text;
  const mistyped = `${key.slice(0, 20)}${key[20] === 'q' ? 'p' : 'q'}${key.slice(21)}`;
  const lines = [
    `all ${key}`,
    other(),
    `reed="**" ${other()}`,
    `read="a//b" ${other()}`,
    `all,read="a" ${other()}`,
    `all,expires="2027-02-31" ${other()}`,
    `all,max-circuits="0" ${other()}`,
    `all,limit-rate="9" ${other()}`,
    'all nobody',
    `all ${mistyped}`,
    `all ${key}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  const { code, stderr } = await runProgram(t, ['key', 'check', file]);
  assert.equal(code, 13);
  const told = [...stderr.matchAll(/authorized_keys:(\d+): (.*)$/gm)];
  assert.deepEqual(
    told.map(([, line]) => Number(line)),
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
  assert.match(told[8]?.[2] ?? '', /a character is wrong: checksum, the 21st character/);
  assert.match(told[9]?.[2] ?? '', /it stands in line 1/);
});
