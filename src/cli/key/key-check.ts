/** `hopline key check`: says what is wrong with a file of authorized keys. */

import type { Command } from 'commander';
import { checkAuthorizedFile } from '../../node/authority/authorized-keys.ts';
import { tellFailureOn } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';

export function addKeyCheck(key: Command): void {
  key
    .command('check')
    .summary('check a file of authorized keys')
    .description('Checks a file for node --authorized-keys, and tells every mistake with its line.')
    .argument('<FILE>', 'the file')
    .option('--json', 'print mistakes as JSON')
    .addHelpText('after', '\nExample:\n  $ hopline key check authorized_keys')
    .action(check);
}

async function check(file: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  await tellFailureOn(json ? process.stdout : undefined, async () => {
    const keys = [...(await checkAuthorizedFile(file)).values()];
    const expired = keys.filter(({ expires }) => expires !== undefined && expires <= Date.now()).length;
    const more = expired > 0 ? `, ${expired} of them expired` : '';
    say(`${file}: valid, ${keys.length} ${keys.length === 1 ? 'line' : 'lines'} with rights${more}`);
  });
}
