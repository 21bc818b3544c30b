/** The program's log: pino, as JSON lines or as lines for people, always on stderr. */

import { isDeepStrictEqual } from 'node:util';
import { type Clock, foldWarnings, type Logger, type LogRules, systemClock } from '../index.ts';

export interface ProgramLog {
  /** For the library. */
  readonly log: Logger;
  /** From now on, other lines. */
  set(rules: LogRules): void;
  /** Tells what was folded; must be called when the command ends. */
  end(): void;
}

/** A count that is still to be told keeps no process alive. */
const idleClock: Clock = {
  now: systemClock.now,
  after: (ms, action) => {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Makes the log of a command that runs for long. */
export async function createLog(rules: LogRules): Promise<ProgramLog> {
  // Loaded here, since only a node logs and every other command would wait for it.
  const { pino } = await import('pino');
  const open = ({ level, format }: LogRules): Logger => {
    const options = {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    if (format === 'json') return pino(options, pino.destination({ dest: 2, sync: true }));
    return pino(options, { write: writeLine });
  };
  let current = { rules, logger: open(rules) };
  const lines: Logger = {
    debug: (fields, message) => current.logger.debug(fields, message),
    info: (fields, message) => current.logger.info(fields, message),
    warn: (fields, message) => current.logger.warn(fields, message),
    error: (fields, message) => current.logger.error(fields, message),
  };
  const log = foldWarnings(lines, idleClock);
  return {
    log,
    end: () => log.end(),
    set: (next) => {
      if (!isDeepStrictEqual(next, current.rules)) current = { rules: next, logger: open(next) };
    },
  };
}

function writeLine(line: string): void {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const shown = Object.entries(fields).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  process.stderr.write(`${String(time)} ${String(level).padEnd(5)} ${String(msg)}${shown.join('')}\n`);
}

function formatValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@[\]-]+$/.test(value) ? value : JSON.stringify(value);
}
