/** One client of a round: a real process, from its start to its end, and what it said. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Children, hoplineCommand } from '../harness/children.ts';
import { limitFiles } from './node-process.ts';

const maxTextChars = 20_000;

export interface ClientEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** It had to be ended, as its time was over. */
  readonly isHung: boolean;
  /** A fault ended it. */
  readonly isKilled: boolean;
  /** The codes of the errors that it reported. */
  readonly errors: readonly string[];
  /** What it said of each file that it moved. */
  readonly proofs: readonly Proof[];
  readonly stderr: string;
  readonly ms: number;
}

export interface Proof {
  readonly encrypted: boolean;
  readonly verifiedBy: string | undefined;
}

export class ClientProcess {
  readonly ended: Promise<ClientEnd>;
  readonly #children: Children;
  readonly #child: ChildProcess;
  readonly #errors = new Set<string>();
  readonly #proofs: Proof[] = [];
  #stderr = '';
  #isHung = false;
  #isKilled = false;

  /** `limitMs` from now the client must have ended. */
  constructor(children: Children, args: readonly string[], env: Readonly<Record<string, string>>, limitMs: number) {
    this.#children = children;
    this.#child = children.spawn(hoplineCommand(args, env), 'pipe', 'pipe');
    this.#child.stdin?.end();
    let line = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      for (const whole of lines) this.#hear(whole);
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-maxTextChars);
    });
    this.ended = this.#follow(limitMs);
  }

  kill(): void {
    if (this.#hasEnded) return;
    this.#isKilled = true;
    this.#children.kill(this.#child);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    if (!this.#hasEnded) this.#child.kill(name);
  }

  /** No file that it writes may grow beyond `bytes`. */
  async limitFiles(bytes: number): Promise<void> {
    if (!this.#hasEnded) await limitFiles(this.#child.pid as number, bytes);
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #hear(line: string): void {
    if (!/"(error|done)"/.test(line)) return;
    const { event, code, encrypted, verifiedBy } = JSON.parse(line) as Partial<
      Proof & Record<'event' | 'code', string>
    >;
    if (event === 'error' && code !== undefined) this.#errors.add(code);
    if (event === 'done') this.#proofs.push({ encrypted: encrypted === true, verifiedBy });
  }

  async #follow(limitMs: number): Promise<ClientEnd> {
    const started = performance.now();
    const timer = setTimeout(() => {
      this.#isHung = true;
      this.#children.kill(this.#child);
    }, limitMs);
    const [code, signal] = (await once(this.#child, 'close')) as [number | null, string | null];
    clearTimeout(timer);
    return {
      code,
      signal,
      isHung: this.#isHung,
      isKilled: this.#isKilled,
      errors: [...this.#errors],
      proofs: this.#proofs,
      stderr: this.#stderr.trim(),
      ms: performance.now() - started,
    };
  }
}
