/**
 * A round's stage: directories, nodes, shims and clients, as its plan has them.
 *
 * Owns all of them, and the timers of faults that end. Knows how to run the
 * clients and what to look at afterwards; judge.ts says what it is worth.
 * Invariant: after `close` no process, socket or file of the round is left.
 */

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Children } from '../harness/children.ts';
import { readBooks } from '../src/io/disk/writing/journal.ts';
import { journalPath } from '../src/io/disk/writing/part-names.ts';
import { type ClientEnd, ClientProcess } from './client-process.ts';
import { clientArgs, environmentOf, nodeFlags, routeText } from './commands.ts';
import { Keys } from './keys.ts';
import { NodeProcess } from './node-process.ts';
import type { NodePlan, Plan } from './plan.ts';
import { losePower } from './power.ts';
import { type FileState, Source } from './source.ts';

/** What a run of all clients came to. */
export interface Attempt {
  /** The keys that the route named, undefined for a run in plain. */
  readonly keys: readonly string[] | undefined;
  readonly clients: readonly ClientEnd[];
  /** The files of each client, at the other end of their way. */
  readonly files: readonly (readonly FileState[])[];
  /** Files where files end that are none of those. */
  readonly strays: readonly string[];
  /** Bytes that crossed the clients' legs. */
  readonly bytes: number;
  /** Bytes of the files that are still missing. */
  readonly missing: number;
  /** Bytes of pieces that are there, and that no journal lists. */
  readonly unlisted: number;
  /** What came by a leg of an encrypted run and should not have, in words. */
  readonly exposed: readonly string[];
  /** Nodes that kept sockets or files open, in words. */
  readonly leaks: readonly string[];
}

/** Nobody keeps digests of a file that has just been written, so that nodes live a while after their files were. */
const aheadMs = 3_600_000;
/** Of which legs are searched for names and bytes: enough to notice, and little work. */
const watchedFiles = 3;
/** What is on its way when the clients have ended is read, or reset, within this. */
const idleMs = 5000;

export class Scene {
  readonly source: Source;
  readonly #plan: Plan;
  readonly #children: Children;
  readonly #directory: string;
  readonly #pieceBytes: number;
  readonly #nodes: NodeProcess[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #undoing = new Set<Promise<void>>();
  readonly #afterClients: (() => void)[] = [];
  readonly #keys: Keys;
  #clients: (ClientProcess | undefined)[] = [];
  #attempts = 0;

  private constructor(plan: Plan, children: Children, directory: string, pieceBytes: number) {
    this.#plan = plan;
    this.#children = children;
    this.#directory = directory;
    this.#pieceBytes = pieceBytes;
    const sources = plan.nodes.flatMap((node, index) => (node.isOrigin ? [this.#path(`root-${index}`)] : []));
    for (const index of plan.nodes.keys()) mkdirSync(this.#path(`root-${index}`), { recursive: true });
    for (let client = 0; client < plan.clients; client += 1) {
      mkdirSync(this.#path(`out-${client}`));
      mkdirSync(this.#path(`synced-${client}`));
    }
    this.#keys = new Keys(plan, directory);
    for (const name of ['tmp', 'sent']) mkdirSync(this.#path(name));
    const gives = plan.scenario.command === 'get' ? sources : [this.#path('sent')];
    this.source = new Source(plan.files, gives, this.#path('spare'));
  }

  /** `place` is a number that no other scene has at the same time. */
  static async start(plan: Plan, children: Children, place: number, pieceBytes: number): Promise<Scene> {
    const directory = path.join(children.directory, `round-${plan.seed}-${place}`);
    mkdirSync(directory);
    const scene = new Scene(plan, children, directory, pieceBytes);
    try {
      await Promise.all(plan.nodes.map((_, index) => scene.#startNode(index, place)));
      const addressOf = (node: number) => `${scene.node(node).shim.host} ${scene.node(node).shim.port}`;
      writeFileSync(scene.#path('route.txt'), routeText(plan, addressOf));
      const keyOf = (node: number) => scene.#keys.of(node);
      writeFileSync(scene.#path('route-keys.txt'), routeText(plan, addressOf, keyOf));
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  node(index: number): NodeProcess {
    return this.#nodes[index] as NodeProcess;
  }

  /** The client that runs now, if it does. */
  client(index: number): ClientProcess | undefined {
    return this.#clients[index];
  }

  /** Does something in `ms` milliseconds, unless the scene is healed before. */
  later(ms: number, action: () => void | Promise<void>): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const undoing = Promise.resolve(action()).finally(() => this.#undoing.delete(undoing));
      this.#undoing.add(undoing);
    }, ms);
    this.#timers.add(timer);
  }

  /** Does something once the clients that run have ended. */
  afterClients(action: () => void): void {
    this.#afterClients.push(action);
  }

  /** The machine of a client loses its power: the client is no more, and what it had not synced is lost. */
  cutPower(index: number): void {
    const client = this.client(index);
    client?.kill();
    const lost = Promise.resolve(client?.ended)
      .then(() => losePower(this.#path(`out-${index}`), this.#path(`synced-${index}`)))
      .finally(() => this.#undoing.delete(lost));
    this.#undoing.add(lost);
  }

  /** Runs a client for everything that is not there yet, each for at most `limitMs`, and ends all faults behind it. */
  async attempt(limitMs: number): Promise<Attempt> {
    const { keys } = this.#plan;
    this.#attempts += 1;
    const isKeyed = keys !== undefined && (keys.from === 'first' || this.#attempts > 1);
    this.#watchLegs(isKeyed);
    const attempt = this.#attempts;
    if (keys?.listedAt !== undefined) this.later(keys.listedAt, () => this.#keys.list(attempt));
    const before = this.#crossed();
    const states = this.#states();
    this.#clients = states.map((files, client) => this.#startClient(client, files, { isKeyed, limitMs }));
    const clients = await Promise.all(this.#clients.flatMap((client) => client?.ended ?? []));
    this.#clients = [];
    for (const action of this.#afterClients.splice(0)) action();
    await this.#heal();
    const leaks = await this.#leaks();
    await Promise.all(this.#nodes.map(({ shim }) => shim.idle(idleMs)));
    return {
      keys: isKeyed ? this.#keys.all : undefined,
      clients,
      files: this.#states(),
      strays: this.#strays(),
      // Behind the waits: what the clients had sent before they ended may have been on its way until then.
      bytes: this.#crossed() - before,
      ...(await this.#shortfall()),
      exposed: this.#nodes.flatMap(({ shim }, index) =>
        shim.exposed.splice(0).map((what) => `into node ${index}, ${what}`),
      ),
      leaks,
    };
  }

  /** Ends everything; what is wrong with a node, in words. */
  async close(): Promise<string[]> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#nodes.map((node) => node.close()));
    const left = readdirSync(this.#path('tmp'));
    rmSync(this.#directory, { recursive: true, force: true });
    const temporary = left.length > 0 ? [`left in the temporary directory: ${left.join(' ')}`] : [];
    return [
      ...this.#nodes.flatMap(({ problems }, index) => problems.map((text) => `node ${index} ${text}`)),
      ...temporary,
    ];
  }

  /** The last lines of every node's log, for those who look into a failure. */
  logs(): string[] {
    return this.#nodes.map(({ log }, index) => `node ${index}:\n${log.trim().split('\n').slice(-30).join('\n')}`);
  }

  async #startNode(index: number, place: number): Promise<void> {
    const plan = this.#plan.nodes[index] as NodePlan;
    this.#nodes[index] = await NodeProcess.start({
      children: this.#children,
      plan,
      // A port on an address of its own is nobody else's when its owner is gone for a while.
      host: process.platform === 'linux' ? `127.${1 + (place >> 8)}.${place & 255}.${1 + index}` : '127.0.0.1',
      root: this.#path(`root-${index}`),
      bytesPerSecond: plan.isFirst ? this.#plan.bytesPerSecond : 0,
      flags: nodeFlags(this.#plan, index, {
        digests: this.#path(`digests-${index}`),
        ...this.#keys.filesOf(index),
      }),
      env: environmentOf(this.#plan, {
        temporary: this.#path('tmp'),
        isStepped: (fault) => fault.kind === 'step-node' && fault.node === index,
        aheadMs,
      }),
    });
  }

  #startClient(
    client: number,
    states: readonly FileState[],
    { isKeyed, limitMs }: { readonly isKeyed: boolean; readonly limitMs: number },
  ): ClientProcess | undefined {
    const due = this.#plan.files.filter((_, index) => !isThere(states[index]));
    if (due.length === 0) return undefined;
    const names = due.map(({ name }) => name);
    const directory = this.#path(this.#plan.scenario.command === 'put' ? 'sent' : `out-${client}`);
    const identity = isKeyed ? this.#keys.clientFile : undefined;
    const route = this.#path(isKeyed ? 'route-keys.txt' : 'route.txt');
    const args = clientArgs(this.#plan, names, { route, directory, identity });
    const isCut = this.#plan.strikes.some(({ fault }) => fault.kind === 'cut-power' && fault.client === client);
    const env = environmentOf(this.#plan, {
      temporary: this.#path('tmp'),
      isStepped: (fault) => fault.kind === 'step-client' && fault.client === client,
      synced: isCut ? this.#path(`synced-${client}`) : undefined,
    });
    return new ClientProcess(this.#children, args, env, limitMs);
  }

  /** Ends all faults: whoever is dead lives again, and every leg is as it was. */
  async #heal(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(this.#undoing);
    for (const node of this.#nodes) {
      node.shim.heal();
      node.signal('SIGCONT');
      await node.restart();
    }
    const limited = this.#plan.strikes.flatMap(({ fault }) => (fault.kind === 'disk-origin' ? [fault.node] : []));
    for (const index of limited) await this.node(index).limitFiles(null);
  }

  #states(): FileState[][] {
    const { files } = this.#plan;
    return this.#ends().map((directory) =>
      files.map(({ name }, index) => this.source.judge(index, path.join(directory, name))),
    );
  }

  #strays(): string[] {
    const expected = new Set(this.#plan.files.map(({ name }) => name));
    return this.#ends().flatMap((directory) => readdirSync(directory).filter((name) => !expected.has(name)));
  }

  async #shortfall(): Promise<Pick<Attempt, 'missing' | 'unlisted'>> {
    let [missing, unlisted] = [0, 0];
    for (const directory of this.#ends()) {
      for (const [index, { name }] of this.#plan.files.entries()) {
        if (isThere(this.source.judge(index, path.join(directory, name)))) continue;
        const part = path.join(directory, `.${name}.part`);
        const listed = new Set((await readBooks(journalPath(part)))?.pieces.map((piece) => piece.index));
        missing += this.source.missing(index, part, this.#pieceBytes);
        unlisted += this.source.present(index, part, this.#pieceBytes, (piece) => !listed.has(piece));
      }
    }
    return { missing, unlisted };
  }

  async #leaks(): Promise<string[]> {
    const extra = await Promise.all(this.#nodes.map((node) => node.settle()));
    return extra.flatMap((count, index) => (count > 0 ? [`node ${index} holds ${count} descriptors too many`] : []));
  }

  #crossed(): number {
    const firsts = this.#nodes.filter((_, index) => this.#plan.nodes[index]?.isFirst);
    return firsts.reduce((sum, { shim }) => sum + shim.passed(this.#plan.content), 0);
  }

  /** Where the files of each client end up. */
  #ends(): string[] {
    const { scenario, clients, nodes } = this.#plan;
    if (scenario.command === 'put') return [this.#path(`root-${nodes.findIndex(({ isOrigin }) => isOrigin)}`)];
    return Array.from({ length: clients }, (_, client) => this.#path(`out-${client}`));
  }

  #watchLegs(isKeyed: boolean): void {
    const secrets = isKeyed
      ? this.#plan.files.slice(0, watchedFiles).flatMap((_, index) => this.source.secrets(index))
      : [];
    for (const { shim } of this.#nodes) shim.watchFor(secrets);
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }
}

function isThere(state: FileState | undefined): boolean {
  return state === 'right' || state === 'old';
}
