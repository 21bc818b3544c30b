/**
 * The names at the origin of a route that begin with what was typed.
 *
 * Somebody waits at a keyboard: there is one second for it, and a thousand names are enough.
 * Invariant: nobody is asked anything, and nothing is said: what is not known is not offered.
 */

import type { Command } from 'commander';
import { listDirectory, type RemoteEntry } from '../../client/listings/list-directory.ts';
import { overRoutes, type RouteFlags } from '../route-flags.ts';
import { readRoutes } from '../route-text.ts';
import { applyDefaults } from '../settings/flag-defaults.ts';

const deadlineMs = 1000;
const maxNames = 1000;

/** `routeFile`: undefined with `--via`; or `NAME:` of a route, with which `typed` may begin. The options of `command` are as parsed. */
export async function listRemoteNames(
  command: Command,
  routeFile: string | undefined,
  typed: string,
): Promise<readonly string[]> {
  await applyDefaults(command);
  const flags = command.opts<RouteFlags>();
  const { routes: asked, isNamed } = await readRoutes(command.name(), flags.via, routeFile);
  const route = isNamed && typed === routeFile ? typed.slice(0, typed.indexOf(':') + 1) : '';
  const name = typed.slice(route.length);
  const above = name.slice(0, name.lastIndexOf('/') + 1);
  const wantsDirectories = ['ls', 'put'].includes(command.name());
  const found: string[] = [];
  const keep = (entry: RemoteEntry) => {
    const isDirectory = entry.kind === 'directory';
    if ((wantsDirectories && !isDirectory) || !`${above}${entry.path}`.startsWith(name)) return;
    const word = `${route}${above}${entry.path}${isDirectory ? '/' : ''}`;
    // It would be a flag.
    if (!word.startsWith('-')) found.push(word);
  };
  const onEntries = (entries: readonly RemoteEntry[]) => {
    for (const entry of entries) keep(entry);
    return found.length < maxNames;
  };
  const quiet: RouteFlags = { ...flags, quiet: true, json: true, retry: 0, deadline: deadlineMs };
  await overRoutes(asked, quiet, async (routes, options) => {
    await listDirectory({ routes, directory: above.replace(/\/+$/, '') || '.', ...options, onEntries });
    // What came before it failed is there all the same.
  }).catch(() => {});
  return found.slice(0, maxNames);
}
