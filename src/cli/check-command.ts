/** `hopline check`: shows the mistakes of a configuration file, or the configuration that is in effect by it. */

import type { Command } from 'commander';
import { formatConfig, readConfig } from '../config/config-files.ts';
import { effectiveConfig } from '../config/effective.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { AuthRules } from '../gateway/auth/auth-files.ts';
import { checkSecretFile } from '../gateway/auth/secret-lines.ts';
import { checkAuthorizedFile } from '../node/authority/authorized-keys.ts';
import { checkCertificate } from '../sites/http-service.ts';
import { tellFailureOn } from './terminal/failure.ts';
import { say } from './terminal/lines.ts';

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('check a configuration file')
    .description(
      'Checks a configuration file, and prints what is in effect by it: every key, with the defaults filled in.\n' +
        'Authorized keys, users and tokens that it names are checked as well. Listens nowhere and connects to nothing.',
    )
    .argument('<FILE>', 'the configuration file')
    .option('--json', 'print JSON instead of YAML')
    .addHelpText('after', '\nExample:\n  $ hopline check hopline.yaml')
    .action(check);
}

async function check(file: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  await tellFailureOn(json ? process.stdout : undefined, async () => {
    const config = await readConfig(file);
    const { authorizedKeys } = config.node;
    if (authorizedKeys !== undefined) await checkAuthorizedFile(authorizedKeys);
    const { sites = [], tls } = config.gateway ?? {};
    for (const { auth } of sites) await checkAuthFiles(auth);
    const warning = tls && (await checkCertificate(tls).catch((cause) => refuseTls(file, cause)));
    process.stdout.write(json ? `${JSON.stringify(effectiveConfig(config), null, 2)}\n` : await formatConfig(config));
    if (warning !== undefined) say(`${file}: warning: ${warning}`);
    say(`${file}: valid`);
  });
}

async function checkAuthFiles({ basic, bearer }: AuthRules = {}): Promise<void> {
  if (basic !== undefined) await checkSecretFile(basic, 'basic');
  if (bearer !== undefined) await checkSecretFile(bearer, 'bearer');
}

function refuseTls(file: string, cause: unknown): never {
  const message = `${file}: gateway.tls: ${asHoplineError(cause).message}`;
  throw new HoplineError('CONFIG_INVALID', message, { cause, problems: [message] });
}
