/**
 * Which names of another machine's tree can exist side by side on this one.
 *
 * Knows what systems and file systems make of names; that a name does not climb
 * out of the tree was found out before it came here.
 */

import { HoplineError } from '../../../core/errors.ts';
import type { Distinctions } from './attributes.ts';

/** What Windows takes for a device, whatever follows the first dot. */
const deviceName = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?$/i;

/**
 * Throws `DISK_FAILED` for a path that this system cannot have, and for two that the file system takes for one.
 * Asks what it tells apart only if it matters.
 */
export async function checkTreeNames(
  paths: Iterable<string>,
  ask: () => Promise<Distinctions>,
  platform: NodeJS.Platform = process.platform,
): Promise<void> {
  const byCase = new Map<string, string>();
  const byForm = new Map<string, string>();
  for (const path of paths) {
    const problem = platform === 'win32' ? windowsProblem(path) : undefined;
    if (problem !== undefined) throw new HoplineError('DISK_FAILED', `"${path}" cannot be written here: ${problem}`);
    const form = path.normalize('NFC');
    const twin = findTwin(byForm, form, path);
    if (twin !== undefined && !(await ask()).unicodeForm) throw clash(twin, path);
    const sibling = findTwin(byCase, form.toLowerCase(), path);
    if (sibling !== undefined && sibling !== twin && !(await ask()).letterCase) throw clash(sibling, path);
  }
}

/** The path that came before under the same key, which is kept for those to come. */
function findTwin(paths: Map<string, string>, key: string, path: string): string | undefined {
  const earlier = paths.get(key);
  if (earlier === undefined) paths.set(key, path);
  return earlier;
}

function windowsProblem(path: string): string | undefined {
  for (const part of path.split('/')) {
    if (/[<>:"\\|?*]/.test(part)) return 'Windows gives one of its characters a meaning of its own';
    if (/[. ]$/.test(part)) return 'Windows takes away the dot or space that it ends in';
    if (deviceName.test(part)) return 'Windows takes it for a device';
  }
  return undefined;
}

function clash(one: string, other: string): HoplineError {
  return new HoplineError('DISK_FAILED', `"${one}" and "${other}" are the same name on this disk`);
}
