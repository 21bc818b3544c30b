// Runs the test files named on the command line, or all of them.
//
// Node 20 expands no patterns itself, and neither does the shell of Windows. Many tests wait for processes and deadlines, so
// as many files run at once as there are processors; Node leaves one out.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const named = process.argv.slice(2);
const files =
  named.length > 0 ? named : readdirSync('test', { recursive: true }).map((name) => path.join('test', name));
const tests = files.filter((name) => name.endsWith('.test.ts')).sort();
const { status } = spawnSync(
  process.execPath,
  [
    ...['--import', import.meta.resolve('tsx'), '--test', '--test-timeout=60000'],
    `--test-concurrency=${availableParallelism()}`,
    ...tests,
  ],
  {
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
