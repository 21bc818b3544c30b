/**
 * What a configuration describes, as one running thing: started, changed and stopped together.
 *
 * Owns the order in which its parts come and go; today that is a node.
 * Invariant: of several reloads, one takes effect after the other, and one that fails changes nothing.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config/config.ts';
import { effectiveConfig } from './config/effective.ts';
import { HoplineError } from './core/errors.ts';
import type { Logger } from './core/log.ts';
import { type RunningNode, startNode } from './node/listen.ts';
import type { NodeOptions } from './node/options.ts';

export interface Service {
  readonly node: RunningNode;
  /**
   * Puts another configuration in effect, as `RunningNode.reload` does; resolves to the keys that changed, such as
   * `limits.idle`. Throws `USAGE_INVALID`, `CONFIG_INVALID`.
   */
  reload(config: Config): Promise<readonly string[]>;
  /** Stops all of it, as `RunningNode.close` does. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Starts what `config` describes. Throws as `startNode`, and `CONFIG_INVALID` if it does not say where to listen. */
export async function startService(config: Config, { log }: { readonly log: Logger }): Promise<Service> {
  let current = config;
  let reloading: Promise<unknown> = Promise.resolve();
  const node = await startNode(nodeOptions(config, log));
  const apply = async (next: Config) => {
    const changed = changedKeys(current, next);
    await node.reload(nodeOptions(next, log));
    current = next;
    return changed;
  };
  return {
    node,
    reload: (next) => {
      const applied = reloading.then(() => apply(next));
      reloading = applied.catch(() => {});
      return applied;
    },
    close: (options) => node.close(options),
  };
}

function nodeOptions({ node: { listen, ...node } }: Config, log: Logger): NodeOptions {
  if (listen) return { ...node, listen, log };
  throw new HoplineError('CONFIG_INVALID', 'listen: read no key "listen", expected one; add listen: HOST:PORT');
}

/** The keys whose values differ, as deep as mappings go; a key that came or went is one. */
function changedKeys(before: Config, after: Config): string[] {
  return differences(effectiveConfig(before), effectiveConfig(after));
}

function differences(before: unknown, after: unknown, key = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMapping(before) || !isMapping(after)) return [key];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((each) => differences(before[each], after[each], key === '' ? each : `${key}.${each}`));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
