/**
 * One node of a demo: a process of this program, which can be killed and started again.
 *
 * Invariant: however the demo ends, the node does not stay: it is tied to this process by a channel and stops when that closes.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { HoplineError } from '../../core/errors.ts';
import { type Address, formatHop, type Hop, isPoolHop, parseHop } from '../../wire/address.ts';
import { ownFiles } from '../process/own-files.ts';
import { ExitWith } from '../terminal/failure.ts';

export interface DemoNodeOptions {
  /** Where it listens; port 0 picks one. */
  readonly at: { readonly host: string; readonly port: number };
  /** Where it may go on to. */
  readonly next: readonly Address[];
  readonly root: string;
  /** Flags of `node` besides. */
  readonly more?: readonly string[];
  readonly onEnded?: (child: ChildProcess) => void;
}

export class DemoNode {
  readonly #options: DemoNodeOptions;
  #address: Address | undefined;
  #child: ChildProcess | undefined;
  #state: 'up' | 'starting' | 'down' = 'down';

  constructor(options: DemoNodeOptions) {
    this.#options = options;
  }

  get state(): 'up' | 'starting' | 'down' {
    return this.#state;
  }

  /** Once it has started, also when it is down. */
  get address(): Address {
    if (!this.#address) throw new HoplineError('INTERNAL', 'a node of the demo has not started yet');
    return this.#address;
  }

  /** While it runs. */
  get process(): ChildProcess | undefined {
    return this.#child;
  }

  /**
   * Starts it, at the same address each time; settles once it listens. Throws `INTERRUPTED` with an aborted signal, and `ExitWith` once
   * what it said has been told, if it ends before.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { root, next, more = [], onEnded } = this.#options;
    const at = this.#address ? formatHop(this.#address) : formatListen(this.#options.at);
    const onward = next.flatMap((hop) => ['--next', formatHop(hop)]);
    const args = [
      ...ownFiles.entry,
      'node',
      '--listen',
      at,
      '--root',
      root,
      '--log-level',
      'error',
      ...onward,
      ...more,
    ];
    if (signal.aborted) throw interrupted();
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#child = child;
    this.#state = 'starting';
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('exit', () => {
      this.#child = undefined;
      this.#state = 'down';
      onEnded?.(child);
    });
    const listening = once(child.stdout as NodeJS.ReadableStream, 'data').then(([text]) => String(text));
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null }));
    const first = await Promise.race([listening, ended]);
    if (typeof first !== 'string') {
      if (signal.aborted) throw interrupted();
      process.stderr.write(said);
      throw new ExitWith(first.code ?? 1);
    }
    child.stdout?.resume();
    const [, where = ''] = /^listening on (\S+)/.exec(first) ?? [];
    const parsed = parseHop(where);
    if (parsed.kind !== 'ok' || !('host' in parsed.hop)) throw new HoplineError('INTERNAL', `a node says "${where}"`);
    this.#address = parsed.hop;
    this.#state = 'up';
  }

  /** As a machine that loses its power. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Asks it to stop; it is not waited for. */
  stop(): void {
    this.#child?.kill('SIGTERM');
  }

  /** Stops it; settles once it is gone. */
  async end(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

/** Throws `USAGE_INVALID` for a pool: nobody knows where its members are. */
export function addressOnly(hop: Hop): Address {
  if (!isPoolHop(hop)) return hop;
  throw new HoplineError('USAGE_INVALID', `a demo starts a node at each hop, and ${formatHop(hop)} is a pool`);
}

function formatListen({ host, port }: DemoNodeOptions['at']): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function interrupted(): HoplineError {
  return new HoplineError('INTERRUPTED', 'the demo was interrupted');
}
