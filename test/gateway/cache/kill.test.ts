import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { defaultLimits } from '../../../src/core/limits.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createHttpCache } from '../../../src/gateway/cache/cache.ts';
import { contentOf } from '../../support/cache-content.ts';
import { see } from '../../support/caches.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const filler = fileURLToPath(new URL('../../support/cache-filler.js', import.meta.url));
const rounds = Number(process.env.HOPLINE_CACHE_KILLS ?? 8);

test(`serves no wrong byte after it was killed ${rounds} times while it stored answers`, async (t) => {
  const { path: directory } = await makeTempRoot(t);
  let served = 0;
  for (let round = 0; round < rounds; round += 1) {
    const args = [filler, directory, String(round * 1_000_000)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    // At any moment, of which none is better than another.
    await sawRounds(child.stdout, randomInt(1, 12));
    await wait(randomInt(10));
    child.kill('SIGKILL');
    await ended;
    served += await checkAll(directory);
  }
  assert.ok(served > rounds, `${served} answers were served`);
});

/** Settles once the filler has said so often that a round of answers is over. */
function sawRounds(stdout: NodeJS.ReadableStream, count: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) => {
    stdout.on('data', (text: Buffer) => {
      seen += String(text).split('\n').length - 1;
      if (seen >= count) resolve();
    });
  });
}

/** Compares every stored answer with what the origin sent; resolves to how many there were. */
async function checkAll(directory: string): Promise<number> {
  const cache = await createHttpCache({ directory, limits: defaultLimits, log: silentLogger });
  try {
    const exchange = cache.wrap(async () => {
      throw new Error('no origin');
    });
    const entries = cache.list();
    for (const { url } of entries) {
      const target = new URL(url).pathname;
      const request = { method: 'GET', scheme: 'http', authority: 'example.org', target, body: undefined } as const;
      const fields = ['Cache-Control', 'max-stale'];
      const signal = new AbortController().signal;
      const answer = await see(await exchange({ ...request, fields, client: '', signal, notes: {} }));
      const expected = contentOf(target, answer.field('etag') ?? '');
      assert.ok(answer.body.equals(expected), `${url} ${answer.field('etag')}`);
    }
    return entries.length;
  } finally {
    await cache.close();
  }
}
