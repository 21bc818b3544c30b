/**
 * An admin listener from its rules: reads the token and the page, and starts it.
 *
 * Documentation: docs/monitoring.md
 */

import type { Logger } from '../core/log.ts';
import { readTextFile } from '../io/disk/reading/text-file.ts';
import { type AdminRules, checkAdmin, formatAdminAddress } from './admin-address.ts';
import { type AdminOptions, type RunningAdmin, startAdmin } from './admin-server.ts';
import { loadPage } from './page.ts';

export interface OpenAdminOptions extends Pick<AdminOptions, 'source' | 'configuration' | 'commands' | 'limits'> {
  readonly log: Logger;
}

/** Throws `LISTEN_FAILED`, and `USAGE_INVALID` as `checkAdmin` and for a token that cannot be read. */
export async function openAdmin(rules: AdminRules, { log, ...options }: OpenAdminOptions): Promise<RunningAdmin> {
  const token = rules.tokenFile === undefined ? undefined : await readToken(rules.tokenFile);
  checkAdmin(rules, token);
  const page = await loadPage();
  const admin = await startAdmin({ ...options, listen: rules.listen, token, page, log });
  log.info({ address: formatAdminAddress(admin.address) }, 'admin listener started');
  return admin;
}

async function readToken(file: string): Promise<string> {
  return (await readTextFile(file, { what: 'the admin token', code: 'USAGE_INVALID', maxBytes: 4096 })).trim();
}
