/**
 * The keys of a round, and the list of those that its origins let in: files beside its nodes.
 *
 * Invariant: the list has the same rights however often it is written; it is never there half.
 */

import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { newKey } from '../src/wire/keys/key.ts';
import type { Plan } from './plan.ts';

export class Keys {
  readonly #plan: Plan;
  readonly #directory: string;
  /** By the number of the origin. */
  readonly #nodes = new Map<number, string>();
  readonly #client: string | undefined;

  constructor(plan: Plan, directory: string) {
    this.#plan = plan;
    this.#directory = directory;
    for (const [index, { isOrigin }] of plan.nodes.entries()) {
      if (plan.keys && isOrigin) this.#nodes.set(index, this.#make(`node-${index}.key`));
    }
    this.#client = plan.keys?.clients ? this.#make('client.key') : undefined;
    this.list(0);
  }

  /** That of a node, which only an origin has. */
  of(node: number): string | undefined {
    return this.#nodes.get(node);
  }

  get all(): readonly string[] {
    return [...this.#nodes.values()];
  }

  /** The file of the clients' own. */
  get clientFile(): string | undefined {
    return this.#client === undefined ? undefined : this.#path('client.key');
  }

  /** The files that a node is started with. */
  filesOf(node: number): Record<'identity' | 'authorized', string | undefined> {
    const hasKey = this.#nodes.has(node);
    const isListed = hasKey && this.#plan.keys?.listedAt !== undefined;
    return {
      identity: hasKey ? this.#path(`node-${node}.key`) : undefined,
      authorized: isListed ? this.#path('authorized') : undefined,
    };
  }

  /** Writes the list anew, if there is one, as an editor does that leaves nothing half: other text, and the same rights. */
  list(version: number): void {
    if (this.#plan.keys?.listedAt === undefined) return;
    const who = [this.#client ?? 'anonymous', ...(this.#plan.keys.from === 'second' ? ['plain'] : [])];
    const text = [`# ${version}`, ...who.map((one) => `all ${one}`), ''].join('\n');
    writeFileSync(this.#path('authorized.new'), text, { mode: 0o600 });
    renameSync(this.#path('authorized.new'), this.#path('authorized'));
  }

  /** Its public half. */
  #make(file: string): string {
    const { key, secretText } = newKey();
    writeFileSync(this.#path(file), `${secretText}\n`, { mode: 0o600 });
    return key.public.text;
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }
}
