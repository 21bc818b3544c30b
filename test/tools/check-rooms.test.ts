import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const tool = fileURLToPath(new URL('tools/check-rooms.mjs', repository));

/** Runs the tool over files with these texts. */
async function check(t: TestContext, files: Readonly<Record<string, string>>) {
  const root = await makeTempRoot(t);
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root.path, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return run(process.execPath, [tool, root.path]);
}

test('a folder imports what lies below it', async (t) => {
  await check(t, {
    'wire/frame.ts': "import { fail } from '../core/errors.ts';\n",
    'io/kernel/engine.ts': "import { a } from '../leg.ts';\nimport { b } from '../../wire/frame.ts';\n",
    'index.ts': "export { c } from './cli/main.ts';\n",
  });
});

for (const [file, text] of [
  ['wire/frame.ts', "import { a } from '../io/leg.ts';\n"],
  ['core/errors.ts', "import type {\n  A,\n} from '../wire/frame.ts';\n"],
  ['io/kernel/engine.ts', "export * from '../../node/relay.ts';\n"],
  ['client/get.ts', "const { a } = await import('../node/relay.ts');\n"],
  ['node/relay.ts', "import { a } from '../index.ts';\n"],
] as const) {
  test(`what ${file} takes from above or beside is named`, async (t) => {
    await assert.rejects(check(t, { [file]: text }), {
      code: 1,
      stderr: new RegExp(`^src/${file}: .* does not import`),
    });
  });
}

test('a folder that is too full, a file that is too long, and names of two things are named', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 13 }, (_, index) => [`io/disk/file-${index}.ts`, '']));
  await assert.rejects(check(t, many), { code: 1, stderr: /^src\/io\/disk: 13 files, and a folder has at most 12\n$/ });
  await assert.rejects(check(t, { 'io/long.ts': '\n'.repeat(291) }), {
    code: 1,
    stderr: /^src\/io\/long.ts: 291 lines/,
  });
  await assert.rejects(check(t, { 'io/a.ts': '', 'node/a.ts': '' }), {
    code: 1,
    stderr: /^a.ts is the name of 2 files/,
  });
  const twice = { 'io/a.ts': 'export interface Source {\n}\n', 'node/b.ts': 'export class Source {\n}\n' };
  await assert.rejects(check(t, twice), { code: 1, stderr: /^Source is exported from io\/a.ts, node\/b.ts\n$/ });
  const calls = { 'io/a.ts': 'export const open = () => 1;\n', 'node/b.ts': 'export async function open() {}\n' };
  await assert.rejects(check(t, calls), { code: 1, stderr: /^open is exported from/ });
});
