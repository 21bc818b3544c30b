/** What whoever looks is told where a look fails, and what is logged of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoplineError, type Logger, silentLogger } from '../../src/index.ts';
import { ask, openAdminOf, sourceOf } from '../support/admin.ts';
import { until } from '../support/chain.ts';

test('a look that fails is answered 500 in one line and logged once, and the page shows nothing older', async (t) => {
  const lines: string[] = [];
  const log: Logger = { ...silentLogger, error: (_, message) => lines.push(message) };
  const shown = { addresses: [] };
  const source = sourceOf(t, shown);
  let state: 'fails' | 'works' | 'odd' = 'fails';
  const failing = async () => {
    if (state === 'fails') throw new HoplineError('DISK_FAILED', 'a disk is full');
    const snapshot = await source();
    // No page can be made of it.
    return state === 'odd' ? { ...snapshot, addresses: undefined as never } : snapshot;
  };
  const { port } = await openAdminOf(t, shown, { source: failing, log });
  const statusOf = async (path: string) => (await ask({ port }, path)).status;
  for (const path of ['/', '/metrics', '/healthz', '/readyz', '/api/status', '/api/circuits']) {
    const { status, text } = await ask({ port }, path);
    assert.deepEqual([status, text], [500, 'hopline: this cannot be shown; the log says why\n'], path);
  }
  assert.equal(await statusOf('/nowhere'), 404);
  assert.deepEqual(lines, ['what goes on cannot be shown: a disk is full']);
  state = 'works';
  await until(async () => (await statusOf('/')) === 200);
  state = 'fails';
  await until(async () => (await statusOf('/')) === 500);
  assert.deepEqual(lines.length, 2);
  state = 'odd';
  await until(async () => (await statusOf('/metrics')) === 200);
  for (const _ of [1, 2]) assert.equal(await statusOf('/'), 500);
  assert.match(lines[2] ?? '', /^\/ cannot be shown: /);
  assert.equal(lines.length, 3);
});
