import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { createKeyFile, parseKeyFile, readKeyFile } from '../../../src/secure/keys/key-file.ts';
import { newKey } from '../../../src/wire/keys/key.ts';

const hasModes = process.platform !== 'win32';

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'hopline-key-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function invalid(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'KEY_INVALID');
    assert.match(error.message, message);
    return true;
  };
}

test('a key file is made for its owner alone, says its public key, and is read back', async (t) => {
  const file = path.join(await makeDirectory(t), 'below', 'node.key');
  const key = await createKeyFile(file, new Date('2026-11-29T12:00:00Z'));
  const text = await readFile(file, 'utf8');
  assert.match(
    text,
    /^# created: 2026-11-29T12:00:00\.000Z\n# public key: hop1[a-z0-9]{58}\nHOP-SECRET-KEY-1[A-Z0-9]{58}\n$/,
  );
  assert.ok(text.includes(key.public.text));
  if (hasModes) assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok((await readKeyFile(file)).public.equals(key.public));
});

test('a key file is never replaced, and an attempt leaves nothing behind', async (t) => {
  const directory = await makeDirectory(t);
  const file = path.join(directory, 'node.key');
  const key = await createKeyFile(file, new Date());
  await assert.rejects(createKeyFile(file, new Date()), invalid(/is there already/));
  assert.ok((await readKeyFile(file)).public.equals(key.public));
  assert.deepEqual(await readdir(directory), ['node.key']);
});

test('a key file that others may read is refused, with its mode', { skip: !hasModes }, async (t) => {
  const file = path.join(await makeDirectory(t), 'node.key');
  await createKeyFile(file, new Date());
  for (const mode of [0o640, 0o604, 0o622]) {
    await chmod(file, mode);
    await assert.rejects(readKeyFile(file), invalid(new RegExp(`mode 0${mode.toString(8)}`)));
  }
  await chmod(file, 0o400);
  await readKeyFile(file);
});

test('what is no key file is refused: nothing there, a directory, too long', async (t) => {
  const directory = await makeDirectory(t);
  await assert.rejects(
    readKeyFile(path.join(directory, 'none')),
    invalid(/cannot read the key file .*none: there is no such file/),
  );
  await assert.rejects(readKeyFile(directory), invalid(/is a directory/));
  const long = path.join(directory, 'long');
  await writeFile(long, '#'.repeat(20_000), { mode: 0o600 });
  await assert.rejects(readKeyFile(long), invalid(/too long/));
});

test('a key file holds one secret, and mistakes are told with their line and without it', () => {
  const { key, secretText } = newKey();
  assert.ok(parseKeyFile(`\r\n# mine\r\n  ${secretText}  \r\n`, 'a').public.equals(key.public));
  assert.throws(() => parseKeyFile('# only words\n', 'a'), invalid(/^a: expected a secret key/));
  assert.throws(() => parseKeyFile(`${secretText}\n\n${secretText}`, 'a'), invalid(/^a:3: /));
  assert.throws(() => parseKeyFile(`#\n${secretText.slice(0, -1)}`, 'a'), invalid(/^a:2: read something else/));
});
