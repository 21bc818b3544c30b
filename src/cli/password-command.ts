/** `hopline password`: a line for a file of users that may log in to a site. */

import type { Command } from 'commander';
import { HoplineError } from '../core/errors.ts';
import { hashPassword } from '../gateway/auth/password-hash.ts';
import { hasControls, parseUsers } from '../gateway/auth/secret-lines.ts';
import { print } from './terminal/lines.ts';

export function addPasswordCommand(program: Command): void {
  program
    .command('password')
    .summary('make a line for the users of a site')
    .description(
      'Asks for the password of a user, and prints the line that a file of users has of both (auth.basic of a site).\n' +
        'A password that comes over a pipe is the first line.',
    )
    .argument('<USER>', 'the name of the user')
    .addHelpText('after', '\nExample:\n  $ (umask 077; hopline password alice >> users)')
    .action(printLine);
}

async function printLine(user: string): Promise<void> {
  const { openPrompts } = await import('./terminal/prompt.ts');
  const prompts = openPrompts({ isHidden: true });
  try {
    const password = await prompts.ask(`Password of ${JSON.stringify(user)}: `, checkPassword);
    checkPassword(password);
    const isTyped = process.stdin.isTTY && process.stderr.isTTY;
    if (isTyped && (await prompts.ask('The same again: ')) !== password) {
      throw new HoplineError('USAGE_INVALID', 'the two passwords differ');
    }
    const line = `${user}:${await hashPassword(password)}`;
    checkLine(user, line);
    print(line);
  } finally {
    prompts.close();
  }
}

/** Throws `USAGE_INVALID`. */
function checkPassword(password: string): void {
  if (password !== '' && !hasControls(password)) return;
  throw new HoplineError('USAGE_INVALID', 'expected a password, without control characters');
}

/** Throws `USAGE_INVALID` for a user that the line would not be read as. */
function checkLine(user: string, line: string): void {
  try {
    if (user === user.trim() && parseUsers(line, 'the line', String).has(user.normalize('NFC'))) return;
  } catch (error) {
    if (!(error instanceof HoplineError)) throw error;
  }
  const expected = 'at most 255 characters without a colon, a # in front and space around it';
  throw new HoplineError('USAGE_INVALID', `read the user ${JSON.stringify(user)}, expected ${expected}`);
}
