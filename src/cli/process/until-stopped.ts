/**
 * The life of a service: it starts, reads its files again at SIGHUP, and ends when it is told to stop.
 *
 * Owns the deadline of the end: work that has not ended a few seconds after the grace is left behind.
 * Invariant: after the first demand to stop, the process is gone within the grace and a few seconds, whatever hangs.
 * Documentation: docs/exit-codes.md#signals
 */

import type { Logger } from '../../core/log.ts';
import { exitCodes } from '../terminal/exit-codes.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';
import { leaveHanging } from './leave.ts';
import { openServiceManager } from './service-manager.ts';
import { takeDemands } from './signals.ts';
import { judgeExceptions } from './unexpected.ts';

export interface Running {
  /** Settles when it listens; its failure ends the command. */
  readonly started: Promise<unknown>;
  /** What SIGHUP asks for. Without it, a hangup stops. */
  readonly reload?: (() => Promise<unknown>) | undefined;
  /** What requests under way are given to end. */
  graceMs(): number;
  /** Also before it has started; again, with `graceMs: 0`, to hurry. */
  close(options?: { readonly graceMs: number }): Promise<void>;
  /** Where a failure that nobody expected is written down. @default stderr, in a line */
  readonly log?: Logger | undefined;
  /** What is left for the rest when the grace is over. @default 2000 */
  readonly lateMs?: number;
}

/** From the deadline of everything that was under way. */
const defaultLateMs = 2000;

/** Settles when `running` has been told to stop and has ended. Throws what its start throws, and `ExitWith` if it stopped in doubt. */
export async function runUntilStopped(running: Running): Promise<void> {
  const [stop, hurry] = [new AbortController(), new AbortController()];
  let isStarted = false;
  let isHungUp = false;
  let isInDoubt = false;
  const endJudging = judgeExceptions(running.log ?? ownLines, () => {
    isInDoubt = true;
    process.exitCode = exitCodes.internal.code;
    stop.abort();
  });
  const manager = openServiceManager();
  const reload = async () => {
    manager.tell('RELOADING=1');
    await running.reload?.();
    manager.tell('READY=1');
  };
  const release = takeDemands((demand) => {
    const isReload = demand === 'hangup' && running.reload !== undefined;
    if (!isReload) (stop.signal.aborted ? hurry : stop).abort();
    else if (!isStarted) isHungUp = true;
    else if (!stop.signal.aborted) void reload();
  });
  // Nobody waits for it any more once it is told to stop.
  running.started.catch(() => {});
  try {
    await Promise.race([running.started, aborted(stop.signal)]);
    isStarted = true;
    if (!stop.signal.aborted) manager.tell('READY=1');
    if (isHungUp && !stop.signal.aborted) void reload();
    await aborted(stop.signal);
    manager.tell('STOPPING=1');
    await end(running, hurry.signal);
    if (isInDoubt) throw new ExitWith(exitCodes.internal.code);
  } finally {
    await manager.end();
    release();
    endJudging();
  }
}

const ownLines: Pick<Logger, 'error'> = {
  error: (fields, message) => say(`hopline: ${message} ${JSON.stringify(fields)}`),
};

async function end(running: Running, hurry: AbortSignal): Promise<void> {
  const { lateMs = defaultLateMs } = running;
  const hurried = aborted(hurry);
  let timer = setTimeout(leaveLate, running.graceMs() + lateMs);
  const again = hurried.then(() => {
    clearTimeout(timer);
    timer = setTimeout(leaveLate, lateMs);
    return running.close({ graceMs: 0 });
  });
  await Promise.race([running.close(), again]);
  clearTimeout(timer);
  // It keeps nothing alive: it only finds what else does, such as a read that hangs.
  setTimeout(leaveLate, lateMs).unref();
}

function leaveLate(): void {
  say('hopline: something did not end in time and is left behind');
  leaveHanging(Number(process.exitCode ?? 0));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
