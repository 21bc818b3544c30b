/**
 * Questions on stderr, answers a line each from a terminal or a pipe.
 *
 * Invariant: lines that arrive together are kept for the questions to come.
 */

import { createInterface } from 'node:readline';
import { HoplineError } from '../../core/errors.ts';

export interface Prompts {
  /** Asks and resolves to the line, trimmed. Throws `USAGE_INVALID` at the end of input, `INTERRUPTED` on Ctrl-C. */
  ask(question: string): Promise<string>;
  close(): void;
}

export function openPrompts(): Prompts {
  const terminal = process.stdin.isTTY && process.stderr.isTTY;
  // Prompts that were closed before have let go of it, and nothing else may keep the process waiting.
  process.stdin.ref?.();
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal });
  const lines = reader[Symbol.asyncIterator]();
  let interrupted = false;
  reader.on('SIGINT', () => {
    interrupted = true;
    reader.close();
  });
  return {
    ask: async (question) => {
      reader.setPrompt(question);
      reader.prompt();
      const { value, done } = await lines.next();
      if (!done) return value.trim();
      process.stderr.write('\n');
      if (interrupted) throw new HoplineError('INTERRUPTED', 'interrupted');
      throw new HoplineError('USAGE_INVALID', `the input ended where an answer to "${question.trim()}" was due`);
    },
    close: () => {
      reader.close();
      process.stdin.unref?.();
    },
  };
}
