import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClassicWatch } from '../../../src/client/circuit/classic-hop.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import { parseVia } from '../../../src/wire/route.ts';
import { FakeClock } from '../../support/legs.ts';

/** A watch over a silent circuit of one hop, and how often that hop was looked up to be asked. */
function watchSilence(connectMs: number) {
  const clock = new FakeClock();
  const seen = { lookups: 0 };
  const resolve = () => {
    seen.lookups += 1;
    return Promise.reject(new Error('there is no such name'));
  };
  const hops = parseVia('hop.example:7001', 'file').routes[0]?.flat() ?? [];
  const circuit = { hops, isAnswered: false, fail: () => {} };
  const client = { clock, resolve, limits: defaultLimits, signal: new AbortController().signal };
  const watch = new ClassicWatch(circuit, client, { connectMs });
  return { clock, seen, watch };
}

test('a circuit may be silent for a while, and for longer the longer its first connection took', () => {
  for (const [connectMs, silentMs] of [
    [1, defaultLimits.probeMs],
    [400, 8000],
    [3000, defaultLimits.connectMs],
  ] as const) {
    const { clock, seen, watch } = watchSilence(connectMs);
    clock.advance(silentMs - 1);
    assert.equal(seen.lookups, 0);
    clock.advance(1);
    assert.equal(seen.lookups, 1);
    watch.close();
  }
});

test('nobody is asked once the watch is over', () => {
  const { clock, seen, watch } = watchSilence(1);
  watch.close();
  clock.advance(60_000);
  assert.deepEqual([seen.lookups, clock.waiting], [0, 0]);
});
