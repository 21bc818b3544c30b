/** `hopline key new` and `hopline key show`: keys of one's own. */

import path from 'node:path';
import type { Command } from 'commander';
import { HoplineError } from '../../core/errors.ts';
import { createKeyFile, parseKeyFile, readKeyFile } from '../../secure/keys/key-file.ts';
import { say } from '../terminal/lines.ts';
import { ownKeyFile } from './key-places.ts';

const maxStdinBytes = 16 * 1024;

export function addKeyFiles(key: Command): void {
  key
    .command('new')
    .summary('make a key')
    .description(
      'Makes a key in a file that its owner alone may read, and prints its public half.\n' +
        'Without -o it is the key by which this user is known to nodes. A file that is there is not replaced.',
    )
    .option('-o, --output <FILE>', 'where to (default: ~/.config/hopline/id.key)')
    .addHelpText('after', '\nExamples:\n  $ hopline key new\n  $ hopline key new -o node.key')
    .action(makeKey);
  key
    .command('show')
    .summary('print the public half of a key')
    .description('Prints the public half of the key in a file: what routes and authorized keys name.')
    .argument('[FILE]', 'a key file, or - for stdin (default: ~/.config/hopline/id.key)')
    .addHelpText('after', '\nExample:\n  $ hopline key show node.key')
    .action(showKey);
}

async function makeKey({ output }: { readonly output?: string }): Promise<void> {
  const file = output === undefined ? ownKeyFile() : path.resolve(output);
  const { public: key } = await createKeyFile(file, new Date());
  say(`the secret is in ${file}`);
  process.stdout.write(`${key.text}\n`);
}

async function showKey(file = ownKeyFile()): Promise<void> {
  const { public: key } = file === '-' ? parseKeyFile(await readStdin(), 'stdin') : await readKeyFile(file);
  process.stdout.write(`${key.text}\n`);
}

/** What a shell pipes in is a pipe, and what a program does may be a socket, which has no path to open. */
async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length > maxStdinBytes) throw new HoplineError('KEY_INVALID', 'stdin: read more than a key file holds');
  }
  return Buffer.concat(parts).toString('utf8');
}
