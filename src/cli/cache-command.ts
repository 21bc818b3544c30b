/** `hopline cache`: shows what a gateway has stored, and removes it. */

import type { Command } from 'commander';
import { flushHttpCache, listHttpCache } from '../gateway/cache/admin/inspect.ts';
import type { ListedEntry } from '../gateway/cache/disk/entry-record.ts';
import { print } from './terminal/lines.ts';
import { formatBytes, formatTime } from './terminal/units.ts';

interface CacheFlags {
  readonly cache: string;
  readonly json?: boolean;
}

const cacheFlag = ['--cache <DIR>', 'the directory of the cache'] as const;

export function addCacheCommand(program: Command): void {
  const cache = program
    .command('cache')
    .summary('look into the cache of a gateway, or flush it')
    .description('Looks into the cache of a gateway, or flushes it, whether the gateway runs or not.');
  cache
    .command('stat')
    .description('Prints how many answers are stored, how many are fresh, and how large they are.')
    .requiredOption(...cacheFlag)
    .option('--json', 'print JSON')
    .action(async (flags: CacheFlags) => printStat(await listHttpCache(flags.cache), flags.json));
  cache
    .command('ls')
    .description('Prints a line for each stored answer: status, size, age, how long it is fresh still, URL.')
    .argument('[HOST|URL]', 'only what is stored of it')
    .requiredOption(...cacheFlag)
    .option('--json', 'print a JSON object for each')
    .action(async (target: string | undefined, flags: CacheFlags) =>
      printList(await listHttpCache(flags.cache, target), flags.json),
    );
  cache
    .command('flush')
    .description('Removes what is stored of a host or of a URL; without either, everything.')
    .argument('[HOST|URL]', 'a host with its port unless that is 80 or 443, or a whole URL')
    .requiredOption(...cacheFlag)
    .action(async (target: string | undefined, flags: CacheFlags) => {
      const count = await flushHttpCache(flags.cache, target);
      print(`${countAnswers(count)} removed`);
    });
}

function printStat(entries: readonly ListedEntry[], json = false): void {
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  const fresh = entries.filter(({ ttlS }) => ttlS > 0).length;
  const text = `${countAnswers(entries.length)}, ${fresh} of them fresh, ${formatBytes(bytes)}`;
  print(json ? JSON.stringify({ entries: entries.length, fresh, bytes }) : text);
}

function printList(entries: readonly ListedEntry[], json = false): void {
  for (const entry of entries) {
    const { status, bytes, ageS, ttlS, url } = entry;
    const left = ttlS > 0 ? formatTime(ttlS) : 'stale';
    const text = `${status} ${formatBytes(bytes).padStart(9)} ${formatTime(ageS).padStart(8)} ${left.padStart(8)} ${url}`;
    print(json ? JSON.stringify(entry) : text);
  }
}

function countAnswers(count: number): string {
  return `${count} ${count === 1 ? 'answer' : 'answers'}`;
}
