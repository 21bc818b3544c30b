import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultHealthRule, Health, type HealthRule } from '../../src/pool/health.ts';

const makeHealth = (rule: Partial<HealthRule> = {}) => new Health({ ...defaultHealthRule, ...rule });

test('so many checks in a row take a member down, and so many bring it back', () => {
  const health = makeHealth({ fall: 2, rise: 3 });
  const seen = [false, true, false, false, true, true, false, true, true, true].map((passed, time) => {
    health.checked(passed, time);
    return health.downSince;
  });
  assert.deepEqual(seen, [undefined, undefined, undefined, 3, 3, 3, 3, 3, 3, undefined]);
});

test('a change is told once', () => {
  const health = makeHealth();
  assert.deepEqual(
    [true, false, false, true, true].map((passed) => health.checked(passed, 0)),
    [false, true, false, true, false],
  );
});

test('an answer in between keeps failed checks from adding up', () => {
  const health = makeHealth({ fall: 2 });
  health.checked(false, 0);
  health.served(1, true);
  assert.equal(health.checked(false, 2), false);
});

test('failures in a row eject, each time for twice as long, up to a limit', () => {
  const health = makeHealth({ ejectAfter: 2, ejectMs: 100, maxEjectMs: 350 });
  const spans: number[] = [];
  let now = 0;
  for (let round = 0; round < 4; round += 1) {
    assert.equal(health.failed(now, now), false);
    assert.equal(health.failed(now, now), true);
    const began = now;
    while (health.isEjected(now)) now += 10;
    spans.push(now - began);
  }
  assert.deepEqual(spans, [100, 200, 350, 350]);
});

test('a success between failures keeps a member in', () => {
  const health = makeHealth({ ejectAfter: 2 });
  health.failed(0, 0);
  health.served(1, true);
  assert.equal(health.failed(2, 2), false);
});

test('requests that were under way when a member was ejected do not count against it again', () => {
  const health = makeHealth({ ejectMs: 100 });
  assert.equal(health.failed(0, 50), true);
  assert.equal(health.failed(10, 60), false);
  assert.equal(health.failed(49, 500), false);
  assert.equal(health.isEjected(500), false);
});

test('who served as long as the last ejection lasted begins anew', () => {
  const health = makeHealth({ ejectMs: 100 });
  health.failed(0, 0);
  health.failed(100, 100);
  health.served(310, true);
  health.failed(320, 320);
  assert.ok(health.isEjected(719));
  assert.ok(!health.isEjected(720));
  health.served(1200, true);
  health.failed(1201, 1201);
  assert.ok(health.isEjected(1300));
  assert.ok(!health.isEjected(1301));
});

test('the share of a member that was out grows over its slow start, and a new one has all of it', () => {
  const health = makeHealth({ slowStartMs: 1000 });
  assert.equal(health.share(0), 1);
  health.checked(false, 0);
  health.checked(true, 100);
  assert.deepEqual(
    [100, 600, 1100, 9000].map((now) => health.share(now)),
    [0.1, 0.5, 1, 1],
  );
  assert.equal(makeHealth({ slowStartMs: 0 }).share(5), 1);
});
