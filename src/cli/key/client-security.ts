/**
 * What a command does about keys before its first request: its own key, the keys of the nodes it knows, and a key that
 * it sees for the first time.
 *
 * Invariant: a known key is used unless --plain is given; nobody is asked to accept a key that differs from a known one.
 * Documentation: docs/security.md#first-use
 */

import { access } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { TransferOptions } from '../../client/transfer.ts';
import { askKey } from '../../client/ways/ask-key.ts';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { readKeyFile } from '../../secure/keys/key-file.ts';
import { type Address, formatHop, type Hop, hopKey, isPoolHop } from '../../wire/address.ts';
import { withoutKnownKeys } from '../../wire/keyed-hop.ts';
import { type PublicKey, parsePublicKey } from '../../wire/keys/key.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { say } from '../terminal/lines.ts';
import { knownNodesFile, ownKeyFile } from './key-places.ts';
import { readKnownNodes, trustNode } from './known-nodes.ts';

export interface SecurityFlags {
  readonly identity?: string;
  readonly plain?: boolean;
  readonly requireKey?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export interface SecuringOptions extends TransferOptions {
  /** Whether whoever is at the one hop there is may be asked for a key: not where that may be no node. @default true */
  readonly mayAsk?: boolean | undefined;
}

type Routes = RoutePlan['routes'];

export interface Secured extends Pick<TransferOptions, 'identity'> {
  readonly routes: Routes;
  /** What to throw for a failure: with the key of who answered, where that is why. Never throws. */
  explain(error: unknown): Promise<unknown>;
}

export function addSecurityFlags(command: Command): void {
  command
    .addOption(
      new Option(
        '--identity <FILE>',
        'the key file by which the last hop knows this client; also HOPLINE_KEY_FILE (default: ~/.config/hopline/id.key, if it is there)',
      ),
    )
    .addOption(new Option('--require-key', 'fail unless the key of the last hop is known').conflicts('plain'))
    .addOption(new Option('--plain', 'encrypt nothing, although the key of the last hop is known'));
}

/** Throws `KEY_UNKNOWN`, `KEY_INVALID`, `USAGE_INVALID`, and at a terminal what asking for a key does. */
export async function secureRoutes(routes: Routes, flags: SecurityFlags, options: SecuringOptions): Promise<Secured> {
  const sources = new Map<Hop, string>();
  let known = await withKnownNodes(routes, sources);
  if (flags.plain) return inPlain(known, flags);
  if (!isKeyed(known)) {
    await refuseKnownMembers(known, options.pools);
    known = await atFirstUse(known, flags, options);
  }
  if (!isKeyed(known)) {
    if (flags.requireKey) {
      throw new HoplineError('KEY_UNKNOWN', 'the key of the last hop is not known, and --require-key asks for it');
    }
    await tellUnusedKey(flags);
    return { routes: known, explain: async (error) => error };
  }
  const identity = await readIdentity(flags);
  return { routes: known, identity, explain: (error) => explain(error, known, sources, options) };
}

function inPlain(routes: Routes, { quiet = false, json = false }: SecurityFlags): Secured {
  if (isKeyed(routes) && !quiet && !json) say('encrypts nothing, although the key of the last hop is known (--plain)');
  const plain = routes.map((places) => places.map((place) => place.map(withoutKnownKeys)));
  return { routes: plain, explain: async (error) => error };
}

function isKeyed(routes: Routes): boolean {
  return routes.some((places) => places.at(-1)?.some(({ key }) => key !== undefined));
}

/** Origins that are first hops with the keys that are known of them; `sources` says where from. */
async function withKnownNodes(routes: Routes, sources: Map<Hop, string>): Promise<Routes> {
  if (routes.every(({ length }) => length > 1)) return routes;
  const nodes = await readKnownNodes(knownNodesFile());
  const withKey = (hop: Hop): Hop => {
    const found = hop.key || isPoolHop(hop) ? undefined : nodes.get(hopKey(hop));
    if (!found) return hop;
    const keyed = { ...hop, key: found.key };
    sources.set(keyed, found.at);
    return keyed;
  };
  return routes.map((places) => (places.length === 1 ? places.map((place) => place.map(withKey)) : places));
}

/**
 * A pool of this client's that is first hop and origin has its key in the route: without, a member whose key is known would
 * be spoken to in plain. Throws `USAGE_INVALID`.
 */
async function refuseKnownMembers(routes: Routes, pools: TransferOptions['pools'] = []): Promise<void> {
  const ends = routes.flatMap((places) => (places.length === 1 ? places.flat() : []));
  const asked = pools.filter(({ name }) => ends.some((hop) => isPoolHop(hop) && hop.pool === name));
  if (asked.length === 0) return;
  const nodes = await readKnownNodes(knownNodesFile());
  for (const { name, members = [] } of asked) {
    for (const member of members) {
      const found = nodes.get(hopKey(member));
      if (!found) continue;
      const message = `@${name} has no key, and ${found.at} has one of its member ${formatHop(member)}: write the key of the pool behind it, @${name} key=hop1..., or --plain`;
      throw new HoplineError('USAGE_INVALID', message);
    }
  }
}

/** The one hop of the one route, if it is no pool: whoever answers there is who was asked for. */
function onlyHop([places = [], ...more]: Routes): Address | undefined {
  const [place = [], ...later] = places;
  const [hop, ...others] = place;
  return !hop || isPoolHop(hop) || more.length + later.length + others.length > 0 ? undefined : hop;
}

/** Asks the user about a key that is seen for the first time, where there is somebody to ask. */
async function atFirstUse(routes: Routes, flags: SecurityFlags, options: SecuringOptions): Promise<Routes> {
  const hop = onlyHop(routes);
  const isTalking = process.stdin.isTTY && process.stderr.isTTY && !flags.quiet && !flags.json;
  if (!hop || !isTalking || options.mayAsk === false) return routes;
  // Whether the node is there at all, and speaks this dialect, is for the transfer to tell, which has the time.
  const { probeMs } = defaultLimits;
  const limits = { ...options.limits, connectMs: probeMs, openMs: probeMs };
  const key = await askKey([hop], { ...options, limits }).catch(() => undefined);
  if (!key) return routes;
  await confirm(hop, key);
  await trustNode(knownNodesFile(), hop, key);
  return [[[{ ...hop, key }]]];
}

/** Throws `KEY_UNKNOWN` for a no, and `KEY_CHANGED` for another key. */
async function confirm(hop: Address, key: PublicKey): Promise<void> {
  say(`${formatHop(hop)} says its key is ${key.text}; compare it with what that node said at its start`);
  const prompts = (await import('../terminal/prompt.ts')).openPrompts();
  try {
    const answer = await prompts.ask('Is that its key? [yes / no / the key] ', (text) => {
      if (!/^(yes|no)$/i.test(text)) parsePublicKey(text, 'the answer');
    });
    if (/^yes$/i.test(answer)) return;
    if (/^no$/i.test(answer)) throw new HoplineError('KEY_UNKNOWN', `the key of ${formatHop(hop)} is not accepted`);
    if (parsePublicKey(answer, 'the answer').equals(key)) return;
    throw new HoplineError('KEY_CHANGED', `${formatHop(hop)} says another key than the one that was typed`);
  } finally {
    prompts.close();
  }
}

/** Where the key is known of the one hop there is, a failure may be that somebody else is there. */
async function explain(
  error: unknown,
  routes: Routes,
  sources: ReadonlyMap<Hop, string>,
  options: TransferOptions,
): Promise<unknown> {
  const hop = onlyHop(routes);
  if (!hop?.key || !(error instanceof HoplineError)) return error;
  if (error.code !== 'SECURE_FAILED') return error;
  try {
    const key = await askKey([hop], options);
    if (key?.equals(hop.key)) return error;
    const says = key ? `its key is ${key.text}` : 'it has none';
    const message = `${formatHop(hop)} says that ${says}, and ${sources.get(hop) ?? 'the route'} has ${hop.key.text}`;
    return new HoplineError('KEY_CHANGED', message, { hop: 1, cause: error });
  } catch {
    return error;
  }
}

/** The key of this client, if it has one. Throws `KEY_INVALID`. */
export async function readIdentity(flags: Pick<SecurityFlags, 'identity'>): Promise<TransferOptions['identity']> {
  const file = await identityFile(flags);
  return file === undefined ? undefined : readKeyFile(file);
}

/** As it was named; else the user's own, if he has one. */
async function identityFile({ identity }: Pick<SecurityFlags, 'identity'>): Promise<string | undefined> {
  const named = identity ?? (process.env.HOPLINE_KEY_FILE || undefined);
  if (named !== undefined) return named;
  const own = ownKeyFile();
  return access(own).then(
    () => own,
    () => undefined,
  );
}

async function tellUnusedKey(flags: SecurityFlags): Promise<void> {
  if (flags.quiet || flags.json) return;
  const file = await identityFile(flags);
  if (file !== undefined) say(`not encrypted, since the key of the last hop is not known; ${file} is not used`);
}
