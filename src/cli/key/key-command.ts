/** `hopline key`: what there is to do with keys. */

import type { Command } from 'commander';
import { addKeyCheck } from './key-check.ts';

export function addKeyCommand(program: Command): void {
  addKeyCheck(program.command('key').summary('work with keys').description('Works with keys of nodes and clients.'));
}
