/**
 * One node of a round: a real process, and the shim that stands for the legs into it.
 *
 * Owns both. A node that was killed comes back on its old port; meanwhile nobody listens at its address.
 * Invariant: a death that nobody ordered, and a defect that the node logs, is a problem of the round.
 */

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Children, hoplineCommand, type Server } from '../harness/children.ts';
import { openDescriptors, tree } from '../harness/proc.ts';
import type { NodePlan } from './plan.ts';
import { Shim } from './shim.ts';

const run = promisify(execFile);
const maxLogChars = 200_000;
const stopTimeoutMs = 6000;
/** Above the idle timeout of nodes. */
const settleMs = 7000;

export interface NodeOptions {
  readonly children: Children;
  readonly plan: NodePlan;
  /** Of the node and its shim. */
  readonly host: string;
  readonly root: string;
  readonly bytesPerSecond: number;
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export class NodeProcess {
  readonly root: string;
  readonly problems: string[] = [];
  readonly shim: Shim;
  readonly #options: NodeOptions;
  #server: Server;
  #log = '';
  #isDown = false;
  #workersKilled = 0;
  /** Descriptors before the first circuit. */
  #idle = 0;

  private constructor(options: NodeOptions, server: Server, shim: Shim) {
    this.root = options.root;
    this.#options = options;
    this.#server = server;
    this.shim = shim;
    this.#adopt(server);
  }

  static async start(options: NodeOptions): Promise<NodeProcess> {
    const { host, bytesPerSecond } = options;
    const server = await startServer(options, 0);
    const shim = await Shim.start({ host, target: { host, port: server.port }, bytesPerSecond });
    const node = new NodeProcess(options, server, shim);
    await node.#ready(0);
    return node;
  }

  get log(): string {
    return this.#log;
  }

  kill(): void {
    if (this.#isDown) return;
    this.#isDown = true;
    this.shim.refuse();
    // All at once: workers that went before their parent would be missed by it.
    signalGroup(this.#server.pid, 'SIGKILL');
  }

  /** Kills one of its workers, of which the program is to start another. */
  killWorker(): void {
    const workers = [...tree(this.#server.pid)].slice(1);
    const [worker] = workers;
    if (worker === undefined || this.#isDown) return;
    this.#workersKilled += 1;
    process.kill(worker, 'SIGKILL');
  }

  async restart(): Promise<void> {
    if (!this.#isDown) return;
    const earlier = this.#starts();
    this.#adopt(await startServer(this.#options, this.#server.port));
    await this.#ready(earlier);
    this.#isDown = false;
    await this.shim.listen();
  }

  /** Sends a signal to the node with all its workers. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    if (!this.#isDown) signalGroup(this.#server.pid, name);
  }

  /** No file that it writes may grow beyond `bytes`; null for no limit. */
  async limitFiles(bytes: number | null): Promise<void> {
    if (!this.#isDown) await Promise.all([...tree(this.#server.pid)].map((pid) => limitFiles(pid, bytes)));
  }

  /** Waits until the node holds no more descriptors than before its first circuit; how many too many, if it does. */
  async settle(): Promise<number> {
    const deadline = performance.now() + settleMs;
    for (;;) {
      const extra = this.#isDown ? 0 : this.#held() - this.#idle;
      if (extra <= 0 || performance.now() > deadline) return Math.max(0, extra);
      await sleep(20);
    }
  }

  /** Stops the node as an operator would. */
  async close(): Promise<void> {
    this.shim.close();
    const { child } = this.#server;
    if (this.#isDown || child.exitCode !== null) return this.#look();
    this.#isDown = true;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const timer = setTimeout(() => {
      this.problems.push('did not stop when it was told to');
      this.#options.children.kill(child);
    }, stopTimeoutMs);
    child.kill('SIGTERM');
    const code = await ended;
    clearTimeout(timer);
    if (code !== 0 && this.problems.length === 0) this.problems.push(`stopped with exit code ${code}`);
    this.#look();
  }

  #adopt(server: Server): void {
    this.#server = server;
    const { child } = server;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-maxLogChars);
    });
    child.once('exit', (code, signal) => {
      if (this.#isDown || this.#server !== server) return;
      this.problems.push(`ended by itself (${signal ?? code})`);
      this.#isDown = true;
    });
  }

  /** Settles once all its workers run; the program says that it listens when the first does. */
  async #ready(earlier: number): Promise<void> {
    const deadline = performance.now() + settleMs;
    while (this.#starts() < earlier + this.#options.plan.workers && performance.now() < deadline) await sleep(5);
    this.#idle = this.#held();
  }

  /** How many processes have begun to serve so far. */
  #starts(): number {
    return this.#log.match(/node started/g)?.length ?? 0;
  }

  #look(): void {
    const lost = this.#log.match(/worker \d+ ended/g)?.length ?? 0;
    if (lost > this.#workersKilled) this.problems.push(`lost ${lost - this.#workersKilled} workers by itself`);
    const defect = this.#log.split('\n').find((line) => line.includes('INTERNAL'));
    if (defect !== undefined) this.problems.push(`logged a defect: ${defect.slice(0, 300)}`);
  }

  #held(): number {
    const all = [...tree(this.#server.pid)].flatMap(openDescriptors);
    return all.filter((target) => target.startsWith('socket:') || target.startsWith(this.root)).length;
  }
}

/** No file that the process writes may grow beyond `bytes`; null for no limit. */
export async function limitFiles(pid: number, bytes: number | null): Promise<void> {
  // The soft limit alone, so that it can be lifted again.
  await run('prlimit', ['--pid', String(pid), `--fsize=${bytes ?? 'unlimited'}:`]).catch(() => {});
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // It ended a moment ago, which is noticed where it counts.
  }
}

function startServer({ children, host, plan, root, flags, env }: NodeOptions, port: number): Promise<Server> {
  const kernel = plan.kernel ? [] : ['--no-kernel'];
  const workers = plan.workers > 1 ? ['--workers', String(plan.workers)] : [];
  // Above the clients' idle timeout: a leg is silent for a while when all is sent and a leg further down is slow.
  const timing = ['--idle-timeout', '5', '--grace', '1'];
  const args = ['node', '--listen', `${host}:${port}`, '--root', root, ...timing, ...kernel, ...workers, ...flags];
  return children.startPrinting(hoplineCommand(args, env), 'pipe');
}
