/** The built program as a child process: what it printed and how it ended. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { repository } from './repository.ts';

export const mainFile = fileURLToPath(new URL('dist/bin/main.js', repository));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Settles with the text once stdout or stderr has matched. */
  saw(pattern: RegExp): Promise<string>;
}

interface RunOptions {
  readonly cwd?: string;
  /** What stdin holds; without it, stdin is at its end. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What it has as descriptor 3 and the next ones. */
  readonly descriptors?: readonly number[];
  /** What is started in place of the built program, and its first arguments. */
  readonly program?: readonly string[];
}

/** Starts `hopline` with `args`; killed when the test ends. */
export function startProgram(t: TestContext, args: readonly string[], options: RunOptions = {}): Started {
  const [file = '', ...first] = options.program ?? [process.execPath, mainFile];
  const child = spawn(file, [...first, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  }
  if (options.input === undefined) child.stdin?.end();
  else child.stdin?.write(options.input);
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }));
  t.after(async () => {
    child.kill('SIGKILL');
    await finished;
  });
  const saw = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const text = said.stdout + said.stderr;
        if (pattern.test(text)) resolve(text);
      };
      child.stdout?.on('data', look);
      child.stderr?.on('data', look);
      void finished.then(({ stderr }) => reject(new Error(`ended without ${pattern}: ${stderr}`)));
      look();
    });
  return { child, finished, saw };
}

/** Runs `hopline` with `args` to its end. */
export function runProgram(t: TestContext, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return startProgram(t, args, options).finished;
}
