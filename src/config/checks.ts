/**
 * The checks that a schema cannot make: whether keys agree with each other and with the disk.
 *
 * Each check gets the file as it was written, since only the written file has places to point at.
 */

import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { isMap, isScalar } from 'yaml';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { isWithin } from '../io/disk/reading/below-root.ts';
import { defaultHealthRule } from '../pool/health.ts';
import { formatHop } from '../wire/address.ts';
import { formatDuration } from '../wire/quantity.ts';
import { toLimits } from './from-file.ts';
import { type ConfigText, type Problem, valueProblem } from './problems.ts';
import { limitKeys } from './schema/limit-settings.ts';
import type { ConfigFile } from './schema/schema.ts';

type PoolsOfFile = NonNullable<ConfigFile['pools']>;

/** What shows only between two keys. */
export function checkKeys(file: ConfigFile, source: ConfigText): Problem[] {
  const pools = Object.entries(file.pools ?? {});
  return [
    ...checkLimits(file.limits ?? {}, source),
    ...pools.flatMap(([name, { members = [] }]) => checkMembers(name, members, source)),
    ...pools.flatMap(([name, { health = {} }]) => checkHealth(name, health, source)),
    ...Object.entries(file.sites ?? {}).flatMap(([host, site]) => [
      ...checkSite(host, site, source),
      ...checkAuth(host, site, source),
      ...checkFirstPools(host, site, new Set(pools.map(([name]) => name)), source),
    ]),
    ...checkGateway(file, source),
  ];
}

/** What the disk must have, whatever else is wrong with the file. Never throws. */
export async function checkDisk(base: string, source: ConfigText): Promise<Problem[]> {
  const pathOf = (key: string) => {
    const value: unknown = source.document.getIn([key]);
    return typeof value === 'string' && value !== '' ? path.resolve(base, value) : undefined;
  };
  const [root, digestCache] = [pathOf('root'), pathOf('digest-cache')];
  const problems: Problem[] = [];
  if (root !== undefined && !(await isDirectory(root))) {
    problems.push(valueProblem(['root'], `a directory that exists; make ${root}, or write another path`, source));
  }
  if (digestCache !== undefined && isWithin(root ?? process.cwd(), digestCache)) {
    problems.push(valueProblem(['digest-cache'], 'a directory outside the root; write another path', source));
  }
  return [...problems, ...(await checkAuthorities(base, source))];
}

/** The authorities that sites believe are read when the gateway starts, and a file that is missing would end it. */
async function checkAuthorities(base: string, source: ConfigText): Promise<Problem[]> {
  const sites: unknown = source.document.getIn(['sites']);
  const hosts = isMap(sites) ? sites.items.map(({ key }) => String(isScalar(key) ? key.value : key)) : [];
  const problems = hosts.map(async (host) => {
    const place = ['sites', host, 'https', 'ca'];
    const file: unknown = source.document.getIn(place);
    if (typeof file !== 'string' || file === '') return [];
    const full = path.resolve(base, file);
    return (await isReadable(full)) ? [] : [valueProblem(place, `a file that can be read; look at ${full}`, source)];
  });
  return (await Promise.all(problems)).flat();
}

async function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

function checkLimits(given: NonNullable<ConfigFile['limits']>, source: ConfigText): Problem[] {
  const limits = { ...defaultLimits, ...toLimits(given) };
  const written = (name: keyof Limits) => limitKeys(name).find((key) => given[key] !== undefined);
  const problems = (Object.keys(defaultLimits) as (keyof Limits)[]).flatMap((name) => {
    const [plain, withUnit] = limitKeys(name);
    if (plain === withUnit || given[plain] === undefined || given[withUnit] === undefined) return [];
    return valueProblem(['limits', withUnit], `the limit once; remove it, or limits.${plain}`, source);
  });
  const place = written('pieceBytes') ?? written('maxReadBytes');
  if (place === undefined || limits.pieceBytes <= limits.maxReadBytes) return problems;
  return [...problems, valueProblem(['limits', place], 'piece to be at most max-read; change one of them', source)];
}

function checkMembers(
  pool: string,
  members: NonNullable<PoolsOfFile[string]['members']>,
  source: ConfigText,
): Problem[] {
  const known = new Set<string>();
  return members.flatMap((member, index) => {
    const [hop, path] = 'address' in member ? [member.address, ['address']] : [member, []];
    const key = formatHop(hop).toLowerCase();
    const isKnown = known.has(key);
    known.add(key);
    if (!isKnown) return [];
    const expected = 'each member once; remove one of them, and give the other a weight';
    return valueProblem(['pools', pool, 'members', index, ...path], expected, source);
  });
}

function checkHealth(pool: string, health: NonNullable<PoolsOfFile[string]['health']>, source: ConfigText): Problem[] {
  const first = health.eject ?? defaultHealthRule.ejectMs;
  const longest = health['max-eject'] ?? defaultHealthRule.maxEjectMs;
  if (first <= longest) return [];
  const [key, expected] =
    health['max-eject'] === undefined
      ? ['eject', `at most max-eject, which is ${formatDuration(longest)}`]
      : ['max-eject', `at least eject, which is ${formatDuration(first)}`];
  return [valueProblem(['pools', pool, 'health', key], `${expected}; change one of them`, source)];
}

/** What only goes with servers. */
const serverKeys = ['via', 'algorithm', 'check', 'health', 'sticky', 'https', 'host', 'connect'] as const;

function checkSite(host: string, site: NonNullable<ConfigFile['sites']>[string], source: ConfigText): Problem[] {
  const given = (['servers', 'dns', 'route', 'root'] as const).filter((key) => site[key] !== undefined);
  const isServers = given.every((key) => key === 'servers' || key === 'dns');
  if (given.length === 0 || (given.length > 1 && !isServers)) {
    const expected = 'one of servers (maybe with dns), route and root; add one, or leave only one';
    return [valueProblem(['sites', host], expected, source)];
  }
  if (isServers) return [];
  return serverKeys
    .filter((key) => site[key] !== undefined)
    .map((key) => valueProblem(['sites', host, key], `no such key beside ${given[0]}; remove it`, source));
}

/** An empty rule lets everybody in, or nobody, and neither is said. */
function checkAuth(host: string, { auth }: NonNullable<ConfigFile['sites']>[string], source: ConfigText): Problem[] {
  if (auth === undefined) return [];
  if (Object.values(auth).every((value) => value === undefined)) {
    return [valueProblem(['sites', host, 'auth'], 'at least one of basic, bearer and addresses; add one', source)];
  }
  if (auth.addresses?.length !== 0) return [];
  return [valueProblem(['sites', host, 'auth', 'addresses'], 'at least one network; add one, or remove it', source)];
}

/** A pool at the first place of a route is this node's own; at any other it is that of the node before it. */
function checkFirstPools(
  host: string,
  site: NonNullable<ConfigFile['sites']>[string],
  pools: ReadonlySet<string>,
  source: ConfigText,
): Problem[] {
  return (['route', 'via'] as const).flatMap((key) => {
    const names = site[key]?.[0]?.match(/(?<=@)[\w.-]+/g) ?? [];
    return names
      .filter((name) => !pools.has(name))
      .map((name) =>
        valueProblem(['sites', host, key, 0], `a pool of this file; add ${name} to pools, or write a hop`, source),
      );
  });
}

/** A gateway without sites serves nobody, and sites without a port are served nowhere. */
function checkGateway({ sites, gateway, listen }: ConfigFile, source: ConfigText): Problem[] {
  if (gateway !== undefined && sites === undefined) {
    return [valueProblem(['gateway'], 'sites beside it; add sites, or remove it', source)];
  }
  if (gateway?.listen && listen && formatHop(gateway.listen) === formatHop(listen) && listen.port !== 0) {
    const expected = 'another address than that of the node, which serves the sites anyway; change it, or remove it';
    return [valueProblem(['gateway', 'listen'], expected, source)];
  }
  return [];
}

async function isDirectory(directory: string): Promise<boolean> {
  try {
    return (await stat(directory)).isDirectory();
  } catch {
    return false;
  }
}
