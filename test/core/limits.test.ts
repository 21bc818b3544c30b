import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { defaultLimits } from '../../src/core/limits.ts';

const page = new URL('../../docs/limits.md', import.meta.url);

/** The rows of the page's tables that begin with a key in backticks: key and default, as numbers are written in prose. */
function documented(): Record<string, number> {
  const rows = readFileSync(page, 'utf8').matchAll(/^\|\s*`(\w+)`\s*\|\s*`?([\d_, ]*\d)/gm);
  return Object.fromEntries([...rows].map(([, key, value]) => [key, Number(value?.replace(/[_, ]/g, ''))]));
}

test('docs/limits.md lists every limit with its default, and no other', () => {
  assert.deepEqual(documented(), { ...defaultLimits });
});

test('the limits fit each other', () => {
  const { pieceBytes, maxReadBytes, maxNameBytes, maxHeaderBytes, connectMs, openMs, quietMs, headMs } = defaultLimits;
  assert.ok(pieceBytes <= maxReadBytes);
  assert.ok(maxNameBytes < maxHeaderBytes);
  assert.ok(connectMs <= openMs);
  assert.ok(quietMs < headMs);
  for (const [key, value] of Object.entries(defaultLimits)) assert.ok(Number.isSafeInteger(value) && value > 0, key);
});
