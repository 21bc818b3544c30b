/**
 * What systemd is told of a service: that it listens, reads its files again, stops, and still answers.
 *
 * systemd listens on a datagram socket of Unix, which Node does not have. So `systemd-notify` says it, a program that is there wherever
 * systemd is; the unit has `NotifyAccess=all` for that. Native code would say it as well, but only where it can be loaded.
 * Invariant: messages arrive in their order; one that cannot be sent costs a line on stderr and nothing else.
 * Documentation: docs/operate.md#systemd
 */

import { execFile } from 'node:child_process';
import { say } from '../terminal/lines.ts';
import { isWorker } from './signals.ts';

export interface ServiceManager {
  tell(state: 'READY=1' | 'RELOADING=1' | 'STOPPING=1'): void;
  /** Settles when everything has been said; nothing more is said from then on. */
  end(): Promise<void>;
}

/** systemd says itself that it got it; this is for one that hangs. */
const sendMs = 5000;

const nobody: ServiceManager = { tell: () => {}, end: async () => {} };

/** Whoever has started this process, if that wants to know; takes what it said of itself out of `env`, so that no other process speaks to it. */
export function openServiceManager(env: NodeJS.ProcessEnv = process.env): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched = `${process.pid}` } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  // A worker is not the service: the process that started it speaks for all.
  if (!socket || isWorker) return nobody;
  let sent = Promise.resolve();
  let hasFailed = false;
  const send = async (state: string) => {
    const reason = await notify(state, { ...env, NOTIFY_SOCKET: socket });
    if (reason !== undefined && !hasFailed) say(`hopline: systemd cannot be told ${state}: ${reason}`);
    hasFailed = reason !== undefined;
  };
  const tell = (state: string) => {
    sent = sent.then(() => send(state));
  };
  // Twice in the time that it waits. A process that does nothing any more does not say so.
  const everyMs = watched === `${process.pid}` ? Number(watchdog) / 2000 : Number.NaN;
  const alive = everyMs >= 1 ? setInterval(tell, everyMs, 'WATCHDOG=1').unref() : undefined;
  return {
    tell,
    end: () => {
      clearInterval(alive);
      return sent;
    },
  };
}

/** Settles with the reason where it was not sent. */
function notify(state: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('systemd-notify', [state], { env, timeout: sendMs }, (error, _stdout, stderr) => {
      resolve(error ? stderr.trim() || error.message : undefined);
    });
  });
}
