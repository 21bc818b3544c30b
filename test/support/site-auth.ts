/** Sites that ask who may, with files of credentials, behind a gateway on loopback. */

import { rename, writeFile } from 'node:fs/promises';
import type http from 'node:http';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { defaultLimits, type Limits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { AuthFiles, type AuthRules } from '../../src/gateway/auth/auth-files.ts';
import { hashPassword } from '../../src/gateway/auth/password-hash.ts';
import type { Ended } from '../../src/gateway/server/http-server.ts';
import type { GatewayOptions } from '../../src/gateway/server/start.ts';
import { startBackend, startTestGateway } from './http.ts';
import { FakeClock } from './legs.ts';
import { makeTempRoot } from './temp-root.ts';

export const token = 'a'.repeat(32);
export const password = 'pa:ss wörd';
/** Made once for all tests of a file: it costs a fifth of a second. */
export const hash = hashPassword(password);

export interface AuthSetup {
  readonly port: number;
  readonly requests: readonly http.IncomingMessage[];
  readonly ended: readonly Ended[];
  readonly clock: FakeClock;
  /** Replaces a file of credentials in one go. */
  replace(name: 'users' | 'tokens', text: string): Promise<void>;
  /** Reads the files again, as at SIGHUP. */
  reread(): Promise<void>;
}

interface Given extends Partial<Omit<GatewayOptions, 'sites' | 'limits'>> {
  /** `users` and `tokens` are files that are there. */
  readonly rules: AuthRules;
  readonly site?: object;
  /** Hosts of sites of the same server that are for everybody. */
  readonly others?: readonly string[];
  readonly limits?: Partial<Limits>;
  readonly answer?: http.RequestListener;
}

/** A gateway whose one site is for `alice`, for those with the token, or as `rules` say. */
export async function startGuarded(
  t: TestContext,
  { rules, site, others = [], limits, answer, ...more }: Given,
): Promise<AuthSetup> {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const replace = async (name: string, text: string) => {
    await writeFile(at(`${name}.new`), text, { mode: 0o600 });
    await rename(at(`${name}.new`), at(name));
  };
  await replace('users', `# people\nalice:${await hash}\n`);
  await replace('tokens', `${token}\n`);
  const clock = new FakeClock();
  const files = new AuthFiles({ limits: { ...defaultLimits, ...limits }, log: silentLogger, clock });
  t.after(() => files.close());
  const { basic, bearer } = rules;
  const auth = await files.open('site.test', { ...rules, basic: basic && at(basic), bearer: bearer && at(bearer) });
  const { address, requests } = await startBackend(t, answer);
  const backend = { members: [address] };
  const ended: Ended[] = [];
  const gateway = await startTestGateway(t, {
    sites: [{ host: '*', backend, auth, ...site }, ...others.map((host) => ({ host, backend }))],
    onEnded: (one) => ended.push(one),
    limits: limits ?? {},
    ...more,
  });
  const reread = () => files.keep([{ basic: at('users'), bearer: at('tokens') }]);
  return { port: gateway.port, requests, ended, clock, replace, reread };
}

export function basic(user: string, secret: string): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}
