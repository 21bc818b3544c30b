/**
 * Exceptions and rejections that nobody caught: one listener hears of them, and no user ever sees a stack.
 *
 * Owns the listener. It stands before the rest of the program is loaded, so this module imports next to nothing.
 * A service says what an exception means for it; any other command ends, and so does a command that cannot be loaded.
 * Documentation: docs/exit-codes.md#defects
 */

import { safeText } from '../../core/text.ts';

/** `isRejection`: it comes from a promise, so that what had awaited it has ended in order. */
type Take = (error: unknown, isRejection: boolean) => void;

// The exceptions of a process are one for all of it, and so is who hears of them.
let isLoading = false;
let taker: Take = (error) => {
  process.exit(isLoading ? reportUnloadable(error) : reportUnexpected(error, 'please report this'));
};

/** Lets the listener stand. Called once, first of all. */
export function listenForExceptions(): void {
  process.on('uncaughtException', (error, origin) => taker(error, origin === 'unhandledRejection'));
}

/** Loads a part of the program, and ends it with a line if that cannot be. */
export async function loading<Module>(load: () => Promise<Module>): Promise<Module> {
  isLoading = true;
  const loaded = await load().catch((error) => process.exit(reportUnloadable(error)));
  isLoading = false;
  return loaded;
}

/** From now on `take` is told. The function returned ends that. */
export function takeExceptions(take: Take): () => void {
  const before = taker;
  taker = take;
  return () => {
    taker = before;
  };
}

/** Tells the user in one line, with a hint, and returns the exit code. */
function reportUnexpected(error: unknown, hint: string): number {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`hopline: ${safeText(message)}\n  hint: ${hint}\n`);
  return 1;
}

/** The same of the program's own files. One that could not be opened for want of descriptors may be told as one that is missing. */
function reportUnloadable(error: unknown): number {
  return reportUnexpected(error, 'let it have more open files (ulimit -n), or install it again');
}
