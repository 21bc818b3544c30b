/**
 * The system's hosts file: names that are known without a name server.
 *
 * Owns what was read of the file, and reads the file again once it has changed. A file that cannot be read has no names.
 */

import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import path from 'node:path';

export interface HostsFile {
  /** The addresses of a name in lower case, as the file lists them. */
  find(name: string): Promise<readonly string[]>;
}

export function openHostsFile(file = systemFile()): HostsFile {
  let version = '';
  let known: ReadonlyMap<string, readonly string[]> = new Map();
  return {
    find: async (name) => {
      try {
        const { mtimeMs, size, ino } = await stat(file);
        const found = `${ino} ${size} ${mtimeMs}`;
        if (found !== version) known = parseHosts(await readFile(file, 'utf8'));
        version = found;
      } catch {
        [version, known] = ['', new Map()];
      }
      return known.get(name.replace(/\.$/, '')) ?? [];
    },
  };
}

/** Lines of an address and its names, with comments behind `#`; what is no such line is passed over. */
function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.trim().replace(/#.*$/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names.map((each) => each.toLowerCase())) {
      const addresses = found.get(name) ?? [];
      if (!addresses.includes(address)) found.set(name, [...addresses, address]);
    }
  }
  return found;
}

function systemFile(): string {
  if (process.platform !== 'win32') return '/etc/hosts';
  return path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'drivers', 'etc', 'hosts');
}
