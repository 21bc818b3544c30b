/**
 * Loads the user's settings, if there are any.
 *
 * What reads them takes longer to load than all else that `get` needs: nobody without such a file waits for it.
 */

import { existsSync } from 'node:fs';
import type { UserSettings } from './settings.ts';
import { settingsFile } from './settings-place.ts';

/** Undefined without a file of settings. Throws `CONFIG_INVALID` for one that is not valid, or was named and is not there. */
export async function loadSettings(): Promise<UserSettings | undefined> {
  const { file, isNamed } = settingsFile();
  if (!isNamed && !existsSync(file)) return undefined;
  return (await import('./read-settings.ts')).readUserSettings(file);
}
