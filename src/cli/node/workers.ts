/**
 * `hopline node --workers N`: the same node in several processes that share one listening socket.
 *
 * Owns the worker processes: keeps N of them running, tells them to stop, and kills a worker that does not stop.
 * A worker is the same program with the same arguments. Its channel tells it to stop, so that a Ctrl-C that reaches the
 * whole process group does not count twice.
 * Invariant: until the program is told to stop, each of the N places has a worker, or one is about to start there.
 */

import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Snapshot } from '../../admin/snapshot.ts';
import type { NodeRules } from '../../config/config.ts';
import { formatHop } from '../../wire/address.ts';
import { ownFiles } from '../process/own-files.ts';
import { ProcessLooks } from '../process/process-looks.ts';
import { reloadMessage, stopMessage } from '../process/signals.ts';
import type { Running } from '../process/until-stopped.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';

/** Before another worker is started where one ended before it listened: at first, and at most. */
const restartMs = { first: 250, most: 2000 } as const;
/** A worker that does not listen by then hangs. */
const startMs = 60_000;
/** After the grace. A worker that does not hang has left by itself before that. */
const killMs = 3000;

type ListenAddress = NonNullable<NodeRules['listen']>;

interface WorkersOptions {
  readonly count: number;
  readonly listen: ListenAddress;
  /** Flags for each worker beside this process's own and where to listen. */
  readonly more: readonly string[];
  /** Called once, with what the first worker says of its start. */
  readonly announce: (lines: string) => void;
  readonly graceMs: () => number;
  /** Whether a hangup is passed on, if it means anything to workers: not while the configuration is not valid. */
  readonly isValid?: (() => Promise<boolean>) | undefined;
}

export interface RunningWorkers extends Running {
  /** What goes on in all of them; undefined while none has started. */
  look(): Promise<Snapshot | undefined>;
}

/**
 * Runs workers with this process's own arguments and `more`. The start fails with the exit code of a first
 * worker that fails; from then on a worker that ends is replaced.
 */
export function startWorkers({ count, listen, more, announce, graceMs, isValid }: WorkersOptions): RunningWorkers {
  // They accept by themselves: a connection that is handed to a worker while that begins to listen can be lost.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const alive = new Set<Worker>();
  const looks = new ProcessLooks();
  const stopping = new AbortController();
  const { signal } = stopping;
  const tellAll = (message: string) => {
    for (const worker of alive) if (worker.isConnected()) worker.send(message);
  };
  let listened: (lines: string) => void = () => {};
  const first = new Promise<string>((resolve) => {
    listened = resolve;
  });
  const places: Promise<undefined>[] = [];
  const start = async () => {
    const at = formatHop(await pickPort(listen));
    const [exec = '', ...args] = [...ownFiles.entry, ...process.argv.slice(2), '--listen', at, ...more];
    cluster.setupPrimary({ exec, args });
    places.push(keepWorker({ alive, looks }, signal, listened, true));
    const lines = await Promise.race([first, ...places]);
    if (lines === undefined) return;
    announce(lines);
    while (places.length < count) places.push(keepWorker({ alive, looks }, signal, listened, false));
  };
  return {
    look: () => looks.take([...alive].map((worker) => worker.process)),
    started: start(),
    reload: isValid && (() => isValid().then((valid) => valid && tellAll(reloadMessage))),
    graceMs,
    close: async ({ graceMs: ms } = { graceMs: graceMs() }) => {
      stopping.abort();
      tellAll(stopMessage);
      const kill = setTimeout(() => {
        for (const { process: one } of alive) {
          say(`hopline: worker ${one.pid} did not end in time and is killed`);
          one.kill('SIGKILL');
        }
      }, ms + killMs);
      // What it throws has been told: the start has failed with it.
      await Promise.allSettled(places);
      clearTimeout(kill);
    },
    lateMs: killMs + 1000,
  };
}

/** Tells the process that started this worker that it listens, and what it says of that. */
export function reportListening(lines: string): void {
  // Whoever started this worker may be gone; it then hears that its channel is closed.
  process.send?.({ listening: lines }, undefined, undefined, () => {});
}

/** Picks the port if it is 0: the socket goes with the last worker that has it, and the next ones must have the same. */
async function pickPort(listen: ListenAddress): Promise<ListenAddress> {
  if (listen.port !== 0) return listen;
  const server = net.createServer();
  try {
    await once(server.listen({ ...listen }), 'listening');
    const { port } = server.address() as net.AddressInfo;
    await once(server.close(), 'close');
    return { ...listen, port };
  } catch {
    // A worker finds the same, and says so.
    return listen;
  }
}

/**
 * Has one worker after the other in one place until `stop` aborts and the last has ended. Throws, with its exit code, if
 * `isFirst` and it fails before any has listened.
 */
async function keepWorker(
  kept: Kept,
  stop: AbortSignal,
  listened: (lines: string) => void,
  isFirst: boolean,
): Promise<undefined> {
  let failures = 0;
  let hasListened = !isFirst;
  while (!stop.aborted) {
    let isListening = false;
    const ended = await runWorker(kept, (worker, lines) => {
      isListening = true;
      listened(lines);
      // What it was told before it listened for messages it has not heard.
      if (stop.aborted) worker.send(stopMessage);
    });
    if (stop.aborted) return;
    hasListened ||= isListening;
    // It has said why.
    if (!hasListened && ended.code) throw new ExitWith(ended.code);
    failures = isListening ? 0 : failures + 1;
    const ms = isListening ? 0 : Math.min(restartMs.most, restartMs.first * 2 ** (failures - 1));
    const when = isListening ? '' : ` while it started`;
    const next = isListening ? 'starting another' : `starting another in ${ms} ms`;
    say(`hopline: worker ${ended.pid ?? '(none)'} ended${when} (${ended.reason}); ${next}`);
    await pause(ms, undefined, { signal: stop }).catch(() => {});
  }
}

interface Kept {
  readonly alive: Set<Worker>;
  readonly looks: ProcessLooks;
}

interface Ended {
  readonly pid: number | undefined;
  readonly reason: string;
  /** Undefined if a signal ended it, or it never was. */
  readonly code?: number | undefined;
}

/** Runs one worker to its end. */
function runWorker({ alive, looks }: Kept, listening: (worker: Worker, lines: string) => void): Promise<Ended> {
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = cluster.fork();
    } catch (error) {
      return resolve({ pid: undefined, reason: String(error) });
    }
    const { pid } = worker.process;
    alive.add(worker);
    const late = setTimeout(() => worker.process.kill('SIGKILL'), startMs);
    const settle = (ended: Ended) => {
      clearTimeout(late);
      alive.delete(worker);
      looks.ended(worker.process);
      resolve(ended);
    };
    worker.on('message', (message: { readonly listening?: string }) => {
      if (message.listening === undefined) return;
      clearTimeout(late);
      listening(worker, message.listening);
    });
    worker.on('exit', (code: number | null, signal: string | null) =>
      settle({ pid, reason: signal ?? `exit code ${code}`, code: code ?? undefined }),
    );
    // A message that did not reach it is no matter: it has ended. One that was never there does not end.
    worker.on('error', (error) => pid === undefined && settle({ pid, reason: error.message }));
  });
}
