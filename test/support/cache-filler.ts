/**
 * A process that fills a cache as fast as it can until it is killed: new answers, newer ones, confirmed ones.
 * Says so for each round of them.
 *
 * Usage: cache-filler.ts DIRECTORY FIRST_VERSION
 */

import { defaultLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createHttpCache } from '../../src/gateway/cache/cache.ts';
import { contentOf } from './cache-content.ts';
import { see } from './caches.ts';

const [directory = '', first = '0'] = process.argv.slice(2);
const cache = await createHttpCache({ directory, limits: defaultLimits, log: silentLogger });
let version = Number(first);
const exchange = cache.wrap(async ({ target, fields }) => {
  version += 1;
  const etag = `"${version}"`;
  const known = fields[fields.indexOf('If-None-Match') + 1];
  const padding = 'x'.repeat(version % 50);
  // Confirmed each other time, with a head of another length.
  if (known?.startsWith('"') && version % 2 === 0) {
    return {
      status: 304,
      reason: '',
      fields: ['ETag', known, 'Cache-Control', 'max-age=0', 'X-Pad', padding],
      body: undefined,
    };
  }
  const body = contentOf(target, etag);
  return { status: 200, reason: '', fields: ['ETag', etag, 'Cache-Control', 'max-age=0', 'X-Pad', padding], body };
});
for (let round = 0; ; round += 1) {
  const asked = Array.from({ length: 8 }, (_, index) =>
    exchange({
      method: 'GET',
      scheme: 'http',
      authority: 'example.org',
      target: `/${(round + index) % 24}`,
      fields: [],
      body: undefined,
      client: '',
      signal: new AbortController().signal,
      notes: {},
    }).then(see),
  );
  await Promise.all(asked);
  process.stdout.write('round\n');
}
