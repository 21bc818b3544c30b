/**
 * What hopline needs of a logger, and nothing about where lines go.
 *
 * The library is silent unless it is given a logger; the program makes one from
 * pino (cli/logging.ts). The interface is the part of pino's that we use, so a
 * pino instance fits as it is.
 */

type LogMethod = (fields: Readonly<Record<string, unknown>>, message: string) => void;

export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const ignore: LogMethod = () => {};

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
