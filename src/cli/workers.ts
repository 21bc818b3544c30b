/**
 * `hopline node --workers N`: the same node in several processes that share one listening socket.
 *
 * Owns the worker processes: starts them, replaces one that dies, tells them to stop.
 * A worker is the program itself, run as it would be alone; it hears the end
 * through its channel, so that a Ctrl-C for the whole group does not count twice.
 */

import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { say } from './lines.ts';
import { ExitWith } from './report.ts';

const stopMessage = 'stop';
const reloadMessage = 'reload';

/** Whether this process is one of several. */
export const isWorker = cluster.isWorker;

/**
 * Runs `count` workers with this process's own arguments and `more`, where to listen among them, until `stopRequested` settles; a second
 * time hurries them. `announce` is called once, with what the first worker says of its start. With `hangups`, each
 * SIGHUP is passed on, unless the configuration is not valid by then.
 */
export async function runWorkers(
  count: number,
  more: readonly string[],
  announce: (lines: string) => void,
  stopRequested: () => Promise<void>,
  hangups?: { readonly isValid: () => Promise<boolean> },
): Promise<void> {
  // Port 0 is picked once: the socket is this process's, and the workers share it.
  // They accept from it themselves: a connection that is handed to a worker while that begins to listen can be lost.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ args: [...process.argv.slice(2), ...more] });
  const workers = new Set<Worker>();
  let isStopping = false;
  cluster.on('exit', (dead) => {
    // One that ended before it listened is not among them, and whoever started it knows.
    if (!workers.delete(dead) || isStopping) return;
    say(`hopline: worker ${dead.process.pid} ended (${dead.process.exitCode}); starting another`);
    startWorker(workers).then(
      // It hears nothing before it listens, and by then the others may have been told to stop.
      () => isStopping && tellAll(workers, stopMessage),
      () => say('hopline: the new worker did not start'),
    );
  });
  const passOn = () => void hangups?.isValid().then((valid) => valid && tellAll(workers, reloadMessage));
  // From the first moment on: a worker that starts later reads what is in the file by then.
  if (hangups) process.on('SIGHUP', passOn);
  announce(await startWorker(workers));
  try {
    for (let index = 1; index < count; index += 1) await startWorker(workers);
  } catch (error) {
    isStopping = true;
    tellAll(workers, stopMessage);
    throw error;
  }
  await stopRequested();
  process.off('SIGHUP', passOn);
  isStopping = true;
  const ended = Promise.all([...workers].map((worker) => once(worker, 'exit')));
  tellAll(workers, stopMessage);
  void stopRequested().then(() => tellAll(workers, stopMessage));
  await ended;
}

/** Tells the process that started this worker that it listens, and what it says of that. */
export function reportListening(lines: string): void {
  // Whoever started this worker may be gone; it then hears that its channel is closed.
  process.send?.({ listening: lines }, undefined, undefined, () => {});
}

/** Whether a message from the process that started this worker asks it to stop. */
export function isStopMessage(message: unknown): boolean {
  return message === stopMessage;
}

/** Whether it asks it to read its configuration again. */
export function isReloadMessage(message: unknown): boolean {
  return message === reloadMessage;
}

/** Starts one worker; resolves to what it says of its start. Throws with its exit code if it ends before it listens. */
async function startWorker(workers: Set<Worker>): Promise<string> {
  const worker = cluster.fork();
  const listening = new Promise<string>((resolve) => {
    worker.on('message', (message: { readonly listening?: string }) => {
      if (message.listening !== undefined) resolve(message.listening);
    });
  });
  const ended = once(worker, 'exit').then(([code]) => ({ code: Number(code ?? 1) }));
  const started = await Promise.race([listening, ended]);
  if (typeof started !== 'string') throw new ExitWith(started.code);
  workers.add(worker);
  return started;
}

function tellAll(workers: ReadonlySet<Worker>, message: string): void {
  for (const worker of workers) if (worker.isConnected()) worker.send(message);
}
