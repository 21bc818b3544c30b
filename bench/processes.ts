/**
 * The processes of a benchmark, measured through /proc.
 *
 * Knows nothing about what the programs do; harness/children.ts ends them whatever happens.
 */

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Children, type Command } from '../harness/children.ts';
import { readProc, tree } from '../harness/proc.ts';

const ticksPerSecond = 100;
const startTimeoutMs = 10_000;

/** What a finished command cost; CPU seconds and peak bytes cover the processes it started too. */
export interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly stdout: string;
}

export interface RunOptions {
  /** Written to the command's input once it has printed `ready`; the clock starts then. */
  readonly go?: boolean;
  readonly timeoutMs?: number;
}

export class Fleet extends Children {
  /** Starts a server that was told its port and waits until it accepts there. */
  async startListening(command: Command, port: number): Promise<{ readonly pid: number; readonly port: number }> {
    const log = path.join(this.directory, `${path.basename(command.program)}-${port}.log`);
    const child = this.spawn(command, { file: log }, { file: log });
    const deadline = performance.now() + startTimeoutMs;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${command.program} did not start: ${readFileSync(log, 'utf8').trim().slice(-500)}`);
      }
    }
    return { pid: child.pid as number, port };
  }

  /** Runs a command to its end and says what it cost. Throws if it fails. */
  async run(command: Command, options: RunOptions = {}): Promise<Cost> {
    const log = path.join(this.directory, `command-${randomUUID()}.log`);
    const reapedBefore = reapedSeconds();
    let started = performance.now();
    const child = this.spawn(command, 'pipe', { file: log });
    const watch = new Watch(child.pid as number);
    let stdout = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      stdout += bytes;
      if (!options.go || stdout !== 'ready\n') return;
      stdout = '';
      watch.start();
      started = performance.now();
      child.stdin?.end('go\n');
    });
    const timer = setTimeout(() => this.kill(child), options.timeoutMs ?? 600_000);
    const finished = await new Promise<{ code: number | null; at: number }>((resolve) => {
      let at = 0;
      child.once('exit', () => {
        at = performance.now();
      });
      child.once('close', (code) => resolve({ code, at }));
    });
    clearTimeout(timer);
    watch.stop();
    if (finished.code !== 0) {
      throw new Error(`${command.program} failed (${finished.code}): ${readFileSync(log, 'utf8').trim().slice(-500)}`);
    }
    const reaped = options.go ? 0 : reapedSeconds() - reapedBefore;
    rmSync(log, { force: true });
    return {
      seconds: (finished.at - started) / 1000,
      cpuSeconds: Math.max(watch.cpuSeconds, reaped),
      peakBytes: watch.peakBytes,
      stdout,
    };
  }
}

/** CPU seconds so far of these processes, their living descendants, and those they have waited for. */
export function cpuSeconds(pids: readonly number[]): number {
  const all = pids.flatMap((pid) => [...tree(pid)]);
  return all.reduce((sum, pid) => {
    const times = readTimes(`/proc/${pid}/stat`);
    return sum + (times ? times.own + times.reaped : 0);
  }, 0);
}

/** The largest peak of resident memory among these processes and their living descendants. */
export function peakBytes(pids: readonly number[]): number {
  return Math.max(0, ...pids.flatMap((pid) => [...tree(pid)]).map(readPeak));
}

/** Resident memory of a process now. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`) ?? '');
  return match ? Number(match[1]) * 1024 : 0;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Where a program is, or undefined; servers live in sbin, which is not in everyone's PATH. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  return directories.map((directory) => path.join(directory, name)).find((file) => existsSync(file));
}

/** Follows one command and its descendants while they live. */
class Watch {
  readonly #root: number;
  readonly #times = new Map<number, number>();
  #base = 0;
  #peak = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(root: number) {
    this.#root = root;
    this.#look(5);
  }

  /** Counts CPU time from now on. */
  start(): void {
    this.#read();
    this.#base = this.#sum();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  get cpuSeconds(): number {
    return this.#sum() - this.#base;
  }

  get peakBytes(): number {
    return this.#peak;
  }

  #look(waitMs: number): void {
    this.#read();
    this.#timer = setTimeout(() => this.#look(Math.min(50, waitMs + 2)), waitMs);
  }

  #read(): void {
    for (const pid of tree(this.#root)) {
      const times = readTimes(`/proc/${pid}/stat`);
      // A process that has just ended reads as zero.
      if (times) this.#times.set(pid, Math.max(times.own, this.#times.get(pid) ?? 0));
      this.#peak = Math.max(this.#peak, readPeak(pid));
    }
  }

  #sum(): number {
    return [...this.#times.values()].reduce((sum, seconds) => sum + seconds, 0);
  }
}

function readTimes(file: string): { readonly own: number; readonly reaped: number } | undefined {
  const text = readProc(file);
  if (text === undefined) return undefined;
  // The name in parentheses may hold spaces, so fields are counted from behind it: utime is the 12th.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15).map(Number);
  return { own: (user + system) / ticksPerSecond, reaped: (childUser + childSystem) / ticksPerSecond };
}

function reapedSeconds(): number {
  return readTimes('/proc/self/stat')?.reaped ?? 0;
}

function readPeak(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`) ?? '');
  return match ? Number(match[1]) * 1024 : 0;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const settle = (yes: boolean) => {
      socket.destroy();
      setTimeout(() => resolve(yes), yes ? 0 : 20);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
