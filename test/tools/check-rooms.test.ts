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
