/** The program's log: pino, as JSON lines or as lines for people, always on stderr. */

import type { Logger } from '../index.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly json: boolean;
}

/** Makes the logger that a command hands to the library. */
export async function createLogger({ level, json }: LogOptions): Promise<Logger> {
  // Loaded here, since only a node logs and every other command would wait for it.
  const { pino } = await import('pino');
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log: Logger = json
    ? pino(options, pino.destination({ dest: 2, sync: true }))
    : pino(options, { write: writeLine });
  return log;
}

function writeLine(line: string): void {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const shown = Object.entries(fields).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  process.stderr.write(`${String(time)} ${String(level).padEnd(5)} ${String(msg)}${shown.join('')}\n`);
}

function formatValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@[\]-]+$/.test(value) ? value : JSON.stringify(value);
}
