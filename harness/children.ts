/**
 * The child processes of a harness: started here, and ended here whatever happens.
 *
 * Owns every child, and the temporary directory of the run. Knows nothing about what the programs do.
 * Invariant: once this process exits, by any road but SIGKILL, no child of it is left, and no file of theirs.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { tree } from './proc.ts';

const startTimeoutMs = 10_000;
const stopTimeoutMs = 3_000;

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Where a stream of a child goes: to this process, to the file of that name, or where this process's own goes. */
export type Outlet = 'pipe' | 'inherit' | { readonly file: string };

export interface Server {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
}

/** hopline itself, from dist/. */
export function hoplineCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  return { program: process.execPath, args: [path.resolve('dist/bin/main.js'), ...args], env };
}

export class Children {
  /** A directory for configurations, keys and files, removed at the end. */
  readonly directory: string;
  readonly #children = new Set<ChildProcess>();

  constructor(scratch: string, prefix: string) {
    this.directory = mkdtempSync(path.join(scratch, prefix));
    process.once('exit', () => this.#end());
    for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
      process.once(signal, () => process.exit(code));
    }
  }

  spawn(command: Command, stdout: Outlet, stderr: Outlet): ChildProcess {
    const outlets = [stdout, stderr].map((outlet) =>
      typeof outlet === 'string' ? outlet : openSync(outlet.file, 'a'),
    );
    // A group of its own: it can be ended with all its workers, and Ctrl-C reaches this process alone.
    const child = spawn(command.program, command.args, {
      stdio: ['pipe', ...outlets],
      env: { ...plainEnvironment(), ...command.env },
      detached: true,
    });
    for (const outlet of outlets) if (typeof outlet === 'number') closeSync(outlet);
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    child.stdin?.on('error', () => {});
    return child;
  }

  /** Starts a server and waits until it prints `listening on HOST:PORT`; the port it has. */
  async startPrinting(command: Command, stderr: Outlet = 'inherit'): Promise<Server> {
    const child = this.spawn(command, 'pipe', stderr);
    const output = child.stdout as NodeJS.ReadableStream;
    const port = await new Promise<number>((resolve, reject) => {
      const late = () => reject(new Error(`${command.program} did not start in time`));
      const timer = setTimeout(late, startTimeoutMs);
      createInterface({ input: output }).on('line', (line) => {
        const match = /^listening on .*:(\d+)$/.exec(line);
        if (match) resolve(Number(match[1]));
      });
      child.once('exit', () => reject(new Error(`${command.program} did not start`)));
      child.once('exit', () => clearTimeout(timer));
      output.once('data', () => clearTimeout(timer));
    });
    return { child, pid: child.pid as number, port };
  }

  /** Ends a child, and all that it started, at once. */
  kill(child: ChildProcess): void {
    if (child.pid === undefined || !this.#children.has(child)) return;
    // Sessions of sshd leave their group, so the tree is ended one by one too.
    for (const pid of [...tree(child.pid)].reverse()) signal(pid);
    signal(-child.pid);
  }

  /** Ends everything that was started and still runs. */
  async stopAll(): Promise<void> {
    const ended = [...this.#children].map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once('close', () => resolve());
          const timer = setTimeout(() => this.kill(child), stopTimeoutMs);
          child.once('close', () => clearTimeout(timer));
          child.kill('SIGTERM');
        }),
    );
    await Promise.all(ended);
  }

  #end(): void {
    for (const child of this.#children) this.kill(child);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** The environment without what would send loopback traffic elsewhere or change a program's behaviour. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const unwanted = /^(https?_proxy|all_proxy|no_proxy|NODE_OPTIONS|NODE_V8_COVERAGE|SSH_AUTH_SOCK|npm_.*)$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)));
}
