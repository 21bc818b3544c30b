/** `hopline key`: the commands for keys. */

import type { Command } from 'commander';
import { addKeyCheck } from './key-check.ts';
import { addKeyFiles } from './key-files.ts';
import { addKnownKeys } from './key-known.ts';

export function addKeyCommand(program: Command): void {
  const key = program.command('key').summary('work with keys').description('Works with keys of nodes and clients.');
  addKeyFiles(key);
  addKnownKeys(key);
  addKeyCheck(key);
}
