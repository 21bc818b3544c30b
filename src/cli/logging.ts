/** The program's log: pino, as JSON lines or as lines for people, always on stderr. */

import { isDeepStrictEqual } from 'node:util';
import type { LogRules } from '../config/config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { foldWarnings } from '../core/folded-log.ts';
import type { Logger } from '../core/log.ts';
import { escapeText, safeText } from '../core/text.ts';

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
  const open = ({ level, format }: LogRules) => {
    const options = {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    return pino(options, { write: format === 'json' ? writeJson : writeLine });
  };
  let current = { rules, logger: open(rules) };
  const write = (level: keyof Logger, fields: Readonly<Record<string, unknown>>, message: string) => {
    // Most lines of a busy node are of a level that nobody reads.
    if (current.logger.isLevelEnabled(level)) current.logger[level](cut(fields), safeText(message));
  };
  const lines: Logger = {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
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

/** No field is longer than a message. */
function cut(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(fields);
  return Object.fromEntries(entries.map(([key, value]) => [key, typeof value === 'string' ? safeText(value) : value]));
}

function writeJson(line: string): void {
  process.stderr.write(`${escapeText(line.trimEnd())}\n`);
}

function writeLine(line: string): void {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const shown = Object.entries(fields).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  process.stderr.write(`${escapeText(`${String(time)} ${String(level).padEnd(5)} ${String(msg)}${shown.join('')}`)}\n`);
}

function formatValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@[\]-]+$/.test(value) ? value : JSON.stringify(value);
}
