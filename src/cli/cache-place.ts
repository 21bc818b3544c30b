/** Where the system keeps what programs could make again for a user. */

import path from 'node:path';
import { homeDirectory } from './settings/settings-place.ts';

export function userCaches(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  // As its specification has it, a path that is not absolute does not count.
  if (XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME;
  if (process.platform === 'win32' && LOCALAPPDATA) return LOCALAPPDATA;
  if (process.platform === 'darwin') return path.join(homeDirectory(), 'Library', 'Caches');
  return path.join(homeDirectory(), '.cache');
}
