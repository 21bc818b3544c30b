/** Nothing is deciphered but where the tag is looked at whole: node:crypto takes tags of 4 bytes, and gives content out before its tag. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { tagBytes } from '../../../src/secure/records/aead.ts';
import { repository } from '../../support/repository.ts';

const sources = await Promise.all(
  (await readdir(new URL('src/', repository), { recursive: true }))
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'))
    .map(async (name) => ({ name, text: await readFile(new URL(`src/${name}`, repository), 'utf8') })),
);

const namesWith = (pattern: RegExp) => sources.filter(({ text }) => pattern.test(text)).map(({ name }) => name);

test('deciphers are made in one place, each with the length of its tag', () => {
  assert.deepEqual(namesWith(/createDecipher/), ['secure/records/aead.ts']);
  assert.deepEqual(namesWith(/EVP_Decrypt/), ['secure/records/openssl.ts']);
  assert.deepEqual(namesWith(/\bsubtle\.decrypt/), []);
  const text = sources.find(({ name }) => name === 'secure/records/aead.ts')?.text ?? '';
  const made = text.match(/createDecipheriv\(.*/g) ?? [];
  assert.ok(made.length > 0);
  for (const call of made) assert.match(call, /, \{ authTagLength: tagBytes \}\)/);
  assert.equal(tagBytes, 16);
});

test('what a decipher gives goes nowhere but into the memory that is zeroed when its tag is wrong', () => {
  const text = sources.find(({ name }) => name === 'secure/records/aead.ts')?.text ?? '';
  const body = /\n {2}newOpener\(\) \{.*?\n {2}\},\n/s.exec(text)?.[0] ?? '';
  assert.deepEqual(body.match(/\)\.update\(.*/g), [').update(step).copy(to, at);']);
  assert.match(body, /const to = place\.take\(from\);/);
  assert.match(
    body,
    /\.setAuthTag\(tag\)\.final\(\);\s+place\.done\(\);\s+return true;\s+\} catch \{\s+place\.clear\(\);\s+return false;/,
  );
});
