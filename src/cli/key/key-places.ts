/**
 * The files in which the user's own key and the keys of known nodes are kept.
 *
 * Documentation: docs/security.md#files
 */

import path from 'node:path';
import { settingsDirectory } from '../settings/settings-place.ts';

/** The client's own key, unless the user names another file. */
export function ownKeyFile(): string {
  return path.join(settingsDirectory(), 'id.key');
}

export function knownNodesFile(): string {
  return path.join(settingsDirectory(), 'known_nodes');
}
