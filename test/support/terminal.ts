/** The program at a terminal, which `script` makes. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { mainFile } from './program.ts';
import { makeTempRoot } from './temp-root.ts';

export const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).error === undefined;

/** What moves the cursor of a terminal. */
const moves = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[A-Za-z]`, 'g');

/** Runs the program at a terminal, and types each answer once its question has come; resolves to the exit code and all that was shown. */
export async function converse(
  t: TestContext,
  args: readonly string[],
  talk: readonly (readonly [RegExp, string])[],
  env: NodeJS.ProcessEnv = {},
  size?: { readonly columns: number; readonly rows: number },
) {
  const home = await makeTempRoot(t);
  const command = [process.execPath, mainFile, ...args].map((word) => `"${word}"`).join(' ');
  const child = spawn(
    'script',
    ['-qec', `stty -echo${size ? ` cols ${size.columns} rows ${size.rows}` : ''}; ${command}`, '/dev/null'],
    {
      cwd: home.path,
      env: { ...process.env, ...env },
    },
  );
  t.after(() => child.kill('SIGKILL'));
  let shown = '';
  let told = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    for (let due = talk[told]; due?.[0].test(shown.replaceAll(moves, '')); due = talk[told]) {
      child.stdin.write(due[1]);
      shown += `<${told}>`;
      told += 1;
    }
  });
  await once(child, 'close');
  return { code: child.exitCode, shown };
}
