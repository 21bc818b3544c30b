// Runs the test files named on the command line, or all of them.
//
// They are compiled once, into .tests/, with all that they import: to compile them in each process that loads them takes longer
// than most of them run. Only what has changed is written anew, so that another run beside this one is not disturbed.
// Node 20 expands no patterns itself, and neither does the shell of Windows. Many tests wait for processes and deadlines, so
// twice as many files run at once as there are processors; Node leaves one out.
// All of it runs in a process group of its own, where there are any: a process that is left in there when the tests are over
// is a failure, and is ended.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const output = '.tests';
const named = process.argv.slice(2);
const all = () => readdirSync('test', { recursive: true }).map((name) => path.join('test', name));
const tests = (named.length > 0 ? named : all().filter((name) => name.endsWith('.test.ts'))).map(compiled);
const hasGroups = process.platform !== 'win32';
const limits = new URL('test-limits.mjs', import.meta.url).href;
if (tests.some((name) => name.startsWith(output))) compile();
const child = spawn(
  process.execPath,
  [
    ...['--enable-source-maps', '--import', limits, '--test'],
    `--test-concurrency=${2 * availableParallelism()}`,
    ...tests,
  ],
  { stdio: 'inherit', detached: hasGroups },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(signal));
child.on('close', async (status, signal) => {
  process.exitCode = signal ? 128 + constants.signals[signal] : status;
  const left = await waitForGroup();
  if (left.length === 0) return;
  end('SIGKILL');
  console.error(`left running by the tests:\n${left.join('\n')}`);
  process.exitCode ||= 1;
});

/** Where the compiler writes a test of this repository; any other is run as it is. */
function compiled(name) {
  const below = path.relative('', name);
  return /^test\b.*\.ts$/.test(below) ? path.join(output, below.replace(/ts$/, 'js')) : name;
}

function compile() {
  const compiler = path.resolve('node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.test.json'], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

function end(signal) {
  if (!hasGroups) return child.kill(signal);
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The last one has just ended.
  }
}

/** The commands of the processes that are left in the group of the tests; what is about to end has a moment to do so. */
async function waitForGroup() {
  let left = listGroup();
  for (let turn = 0; left.length > 0 && turn < 50; turn++) {
    await pause(100);
    left = listGroup();
  }
  return left;
}

function listGroup() {
  if (!hasGroups) return [];
  const { error, stdout } = spawnSync('ps', ['-A', '-o', 'pgid=,stat=,pid=,args='], { encoding: 'utf8' });
  if (error) return isGroupAlive() ? ['processes that cannot be named, as there is no ps here'] : [];
  // A zombie has ended already.
  const own = new RegExp(`^\\s*${child.pid}\\s+[^Z\\s]`);
  return stdout
    .split('\n')
    .filter((line) => own.test(line))
    .map((line) => line.trim());
}

function isGroupAlive() {
  try {
    return process.kill(-child.pid, 0);
  } catch {
    return false;
  }
}
