/**
 * The demands on a running program, to stop or to read its files again: SIGINT, SIGTERM, SIGHUP, and for a service the
 * channel to the process that started it.
 *
 * Owns the listeners. They stand before the rest of the program is loaded, so this module imports nothing that takes
 * time.
 * Invariant: no signal has its default action. A signal that no command has taken ends the program at once; a hangup
 * waits for the service that is about to start.
 * Documentation: docs/exit-codes.md#signals
 */

import type cluster from 'node:cluster';
import { createRequire } from 'node:module';
import { leave } from './leave.ts';

export type Demand = 'stop' | 'hangup';

/** What the first of several processes tells a worker. */
export const stopMessage = 'stop';
export const reloadMessage = 'reload';

/** Whether this process is one of several: those have a channel, and only for them is it worth loading what knows. */
export const isWorker = process.channel !== undefined && loadCluster().isWorker;

/** Whether the command runs until it is told to stop, so that a stop is its regular end. */
export const isService = ['node', 'gateway'].includes(process.argv[2] ?? '');

// The signals of a process are one for all of it, and so is what they mean now.
let taker: ((demand: Demand) => void) | undefined;
let isHungUp = false;

/** Lets the listeners stand. Called once, first of all. */
export function listenForSignals(): void {
  // A worker leaves what the whole group may get, such as Ctrl-C, to the process that started it.
  process.on('SIGINT', () => isWorker || hear('stop'));
  process.on('SIGTERM', () => hear('stop'));
  process.on('SIGHUP', () => isWorker || hear('hangup'));
  if (!isService) return;
  process.on('disconnect', () => hear('stop'));
  process.on('message', (message) => {
    if (message === stopMessage) hear('stop');
    if (message === reloadMessage) hear('hangup');
  });
}

/** From now on `take` is told of each demand, and of a hangup that came before. The function returned ends that. */
export function takeDemands(take: (demand: Demand) => void): () => void {
  taker = take;
  if (isHungUp) take('hangup');
  isHungUp = false;
  return () => {
    if (taker === take) taker = undefined;
  };
}

function loadCluster(): typeof cluster {
  return createRequire(import.meta.url)('node:cluster') as typeof cluster;
}

function hear(demand: Demand): void {
  if (taker) taker(demand);
  else if (demand === 'hangup' && isService) isHungUp = true;
  else leave(Number(process.exitCode ?? (isService ? 0 : 130)));
}
