/**
 * The key of a node that was given none: made at the first start where other machines can reach the node, or where it
 * asks clients for keys.
 *
 * Invariant: a key outlives the run only if the port is fixed, since the key's file is found by the port.
 * Documentation: docs/security.md#keys
 */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { NodeRules } from '../../config/config.ts';
import { asHoplineError } from '../../core/errors.ts';
import { isReachedHere } from '../../node/root.ts';
import { createKeyFile } from '../../secure/keys/key-file.ts';
import { newKey } from '../../wire/keys/key.ts';
import { homeDirectory } from '../settings/settings-place.ts';

export type ChosenIdentity = Pick<NodeRules, 'identity' | 'identityFile'>;

interface Machine {
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
  readonly home: string;
}

const thisMachine = (): Machine => ({
  env: process.env,
  isRoot: process.geteuid?.() === 0,
  // A user that exists only while a service runs may have none, which throws.
  get home() {
    return homeDirectory();
  },
});

/**
 * The identity to add to `rules`; nothing where they say it, or none is due. Makes the file where it is not there yet; where it
 * cannot be made, `say` is told, and the node goes without a key.
 */
export async function chooseIdentity(
  { listen, identityFile, requireKey, authorizedKeys }: NodeRules,
  say: (line: string) => void,
  machine: Machine = thisMachine(),
): Promise<ChosenIdentity> {
  const isAsked = requireKey === true || authorizedKeys !== undefined;
  if (identityFile !== undefined || !listen || (isReachedHere(listen.host) && !isAsked)) return {};
  if (listen.port === 0) return { identity: newKey().key };
  const file = nodeKeyFile(listen.port, machine);
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  if (isThere) return { identityFile: file };
  try {
    await createKeyFile(file, new Date());
    return { identityFile: file };
  } catch (error) {
    const { code, message } = asHoplineError(error);
    // Another start was quicker.
    if (code === 'KEY_INVALID') return { identityFile: file };
    say(`hopline: the node has no key: ${message}; name another place with --identity`);
    return {};
  }
}

export function nodeKeyFile(port: number, machine: Machine): string {
  const { env, isRoot } = machine;
  const directory = env.XDG_STATE_HOME || (isRoot ? '/var/lib' : path.join(machine.home, '.local', 'state'));
  return path.join(directory, 'hopline', `node-${port}.key`);
}
