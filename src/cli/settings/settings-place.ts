/** Where this user's settings are: the directory that the system has for them, and the file of routes and defaults in it. */

import { homedir, userInfo } from 'node:os';
import path from 'node:path';

/** Also that of the user's own key, and of the nodes that he knows. */
export function settingsDirectory(env = process.env, platform = process.platform): string {
  const { XDG_CONFIG_HOME, APPDATA } = env;
  // As its specification has it, a path that is not absolute does not count.
  if (XDG_CONFIG_HOME && path.isAbsolute(XDG_CONFIG_HOME)) return path.join(XDG_CONFIG_HOME, 'hopline');
  if (platform === 'win32' && APPDATA) return path.win32.join(APPDATA, 'hopline');
  return path.join(homeDirectory(), '.config', 'hopline');
}

/**
 * The user's own directory. A HOME that is empty or not absolute does not count: keys and routes would be taken from the
 * working directory then, which may be anybody's. Throws a system error for a user who has none.
 */
export function homeDirectory(): string {
  const home = homedir();
  return path.isAbsolute(home) ? home : userInfo().homedir;
}

/** The file of routes and defaults, and whether the user has named it, so that it must be there. */
export function settingsFile(env = process.env): { readonly file: string; readonly isNamed: boolean } {
  const { HOPLINE_CONFIG } = env;
  if (HOPLINE_CONFIG) return { file: HOPLINE_CONFIG, isNamed: true };
  return { file: path.join(settingsDirectory(env), 'config.yaml'), isNamed: false };
}
