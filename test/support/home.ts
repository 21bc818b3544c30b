/** The program as one user runs it: a directory to configure it in, keys, nodes and commands. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { type Finished, runProgram, type Started, startProgram } from './program.ts';
import { makeTempRoot, type TempRoot } from './temp-root.ts';

interface RunningProgram extends Started {
  readonly address: string;
  readonly port: number;
}

export interface Home {
  readonly root: TempRoot;
  readonly env: NodeJS.ProcessEnv;
  readonly known: string;
  run(args: readonly string[], more?: Parameters<typeof runProgram>[2]): Promise<Finished>;
  node(flags: readonly string[], env?: NodeJS.ProcessEnv): Promise<RunningProgram>;
  /** Makes a key; resolves to its text. */
  makeKey(file: string): Promise<string>;
}

/** A directory with keys and files of its own, in which the program runs; all of it ends with the test. */
export async function startHome(t: TestContext): Promise<Home> {
  const root = await makeTempRoot(t);
  await mkdir(path.join(root.path, 'files'));
  await root.writeRandom('files/some-name.bin', 2_500_000);
  const env = { XDG_CONFIG_HOME: path.join(root.path, 'config'), HOPLINE_KEY_FILE: '' };
  const run: Home['run'] = (args, more = {}) =>
    runProgram(t, args, { cwd: root.path, ...more, env: { ...env, ...more.env } });
  return {
    root,
    env,
    known: path.join(root.path, 'config', 'hopline', 'known_nodes'),
    run,
    node: async (flags, more = {}) => {
      const common = [
        'node',
        '--listen',
        '127.0.0.1:0',
        '--root',
        path.join(root.path, 'files'),
        '--log-level',
        'debug',
      ];
      const node = startProgram(t, [...common, ...flags], { cwd: root.path, env: { ...env, ...more } });
      const port = /listening on .*:(\d+)\n/.exec(await node.saw(/serves .*\n/))?.[1];
      return { ...node, address: `127.0.0.1:${port}`, port: Number(port) };
    },
    makeKey: async (file) => {
      const made = await run(['key', 'new', '-o', file]);
      assert.equal(made.code, 0, made.stderr);
      return made.stdout.trim();
    },
  };
}

/** The last line that the program printed, which is JSON. */
export const lastLine = ({ stdout, stderr }: Finished) => {
  const line = stdout.trim().split('\n').at(-1);
  assert.ok(line, stderr);
  return JSON.parse(line) as Record<string, unknown>;
};
