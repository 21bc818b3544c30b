/**
 * The files in which the user's own key and the keys of known nodes are kept.
 *
 * Documentation: docs/security.md#files
 */

import { homedir } from 'node:os';
import path from 'node:path';

function configDirectory(): string {
  return path.join(process.env.XDG_CONFIG_HOME || path.join(homedir(), '.config'), 'hopline');
}

/** The client's own key, unless the user names another file. */
export function ownKeyFile(): string {
  return path.join(configDirectory(), 'id.key');
}

export function knownNodesFile(): string {
  return path.join(configDirectory(), 'known_nodes');
}
