import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../support/chain.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const tool = fileURLToPath(new URL('tools/test.mjs', repository));
// A run of tests within a test would report to the outer one.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;

const leavesChild = (file: string) => `
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
test('leaves a child', () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  child.unref();
  writeFileSync(${JSON.stringify(file)}, String(child.pid));
});
`;

test('a process that tests leave running is ended, and fails them', {
  skip: process.platform === 'win32',
}, async (t) => {
  const root = await makeTempRoot(t);
  const pidFile = path.join(root.path, 'pid');
  const file = path.join(root.path, 'leaves.test.mjs');
  await writeFile(file, leavesChild(pidFile));
  await assert.rejects(run(process.execPath, [tool, file], { env }), { code: 1, stderr: /left running by the tests/ });
  const pid = Number(await readFile(pidFile, 'utf8'));
  await until(() => isGone(pid));
});

test('tests that leave nothing pass', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'fine.test.mjs');
  await writeFile(file, "import { test } from 'node:test';\ntest('fine', () => {});\n");
  await run(process.execPath, [tool, file], { env });
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
