/**
 * Questions on stderr, answers a line each from a terminal or a pipe.
 *
 * At a terminal a wrong answer is explained at once, and the question asked again; a pipe cannot be asked again.
 * Invariant: lines that arrive together are kept for the questions to come.
 */

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { say } from './lines.ts';

export interface Prompts {
  /**
   * Asks and resolves to the line, trimmed unless it is hidden. On a terminal asks until `check` throws no more, and tells what it threw; elsewhere
   * the caller judges the answer. Throws `USAGE_INVALID` at the end of input, `INTERRUPTED` on Ctrl-C.
   */
  ask(question: string, check?: (answer: string) => unknown): Promise<string>;
  close(): void;
}

/** With `isHidden`, a terminal does not show what is typed. */
export function openPrompts({ isHidden = false }: { readonly isHidden?: boolean } = {}): Prompts {
  const terminal = process.stdin.isTTY && process.stderr.isTTY;
  // Prompts that were closed before have let go of it, and nothing else may keep the process waiting.
  process.stdin.ref?.();
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: isHidden ? nowhere : process.stderr, terminal });
  const lines = reader[Symbol.asyncIterator]();
  let interrupted = false;
  reader.on('SIGINT', () => {
    interrupted = true;
    reader.close();
  });
  const askOnce = async (question: string): Promise<string> => {
    if (isHidden) process.stderr.write(question);
    else reader.setPrompt(question);
    reader.prompt();
    const { value, done } = await lines.next();
    if (isHidden && terminal) process.stderr.write('\n');
    if (!done) return isHidden ? value : value.trim();
    process.stderr.write('\n');
    if (interrupted) throw new HoplineError('INTERRUPTED', 'interrupted');
    throw new HoplineError('USAGE_INVALID', `the input ended where an answer to "${question.trim()}" was due`);
  };
  return {
    ask: async (question, check) => {
      for (;;) {
        const answer = await askOnce(question);
        const problem = terminal && check ? await problemOf(answer, check) : undefined;
        if (problem === undefined) return answer;
        say(problem);
      }
    },
    close: () => {
      reader.close();
      process.stdin.unref?.();
    },
  };
}

async function problemOf(answer: string, check: (answer: string) => unknown): Promise<string | undefined> {
  try {
    await check(answer);
    return undefined;
  } catch (error) {
    return asHoplineError(error).message;
  }
}
