import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readProc } from '../../harness/proc.ts';
import { until } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const program = fileURLToPath(new URL('../../chaos/main.js', import.meta.url));
const options = { skip: process.platform === 'win32' && 'Windows cannot stop and continue a process by a signal' };

interface Run {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<number | null>;
  /** Settles when the first round has been played. */
  readonly played: Promise<void>;
}

function startChaos(t: TestContext, scratch: string, args: readonly string[]): Run {
  const command = [program, '--scratch', scratch, '--only', 'chain', ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let settle: () => void = () => {};
  const played = new Promise<void>((resolve) => {
    settle = resolve;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (/^ok /m.test(text)) settle();
    });
  }
  const ended = once(child, 'close').then(([code]) => code as number | null);
  t.after(async () => {
    // It ends its children on this signal, which it could not on another.
    child.kill('SIGTERM');
    await ended;
  });
  return { child, said: () => text, ended, played };
}

/** Command lines of all processes that have to do with a directory. */
function processesAbout(directory: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => readProc(`/proc/${pid}/cmdline`) ?? []).filter((line) => line.includes(directory));
}

test(
  'rounds of transfers under faults end right, leave nothing, and can be told from each other',
  options,
  async (t) => {
    const scratch = await makeTempRoot(t);
    const json = path.join((await makeTempRoot(t)).path, 'rounds.json');
    const args = ['--rounds', '3', '--seed', '60', '--concurrency', '2', '--json', json];
    const run = startChaos(t, scratch.path, args);
    assert.equal(await run.ended, 0, run.said());
    assert.deepEqual(await scratch.list(), []);
    const { results } = JSON.parse(await readFile(json, 'utf8')) as {
      results: { seed: number; problems: unknown[] }[];
    };
    assert.deepEqual(results.map(({ seed }) => seed).sort(), [60, 61, 62]);
    assert.match(run.said(), /^all +3 /m);
  },
);

test('an interrupted run leaves no process and no file', options, async (t) => {
  const scratch = await makeTempRoot(t);
  const run = startChaos(t, scratch.path, ['--rounds', '1000', '--seed', '60']);
  await Promise.race([run.played, run.ended]);
  run.child.kill('SIGINT');
  assert.equal(await run.ended, 130, run.said());
  assert.deepEqual(await scratch.list(), []);
  if (process.platform === 'linux') await until(() => processesAbout(scratch.path).length === 0);
});
