import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultKinds } from '../../chaos/faults.ts';
import { drawPlan, drawScenario, type Plan } from '../../chaos/plan.ts';
import { contentOf, Random } from '../../chaos/random.ts';
import { type Scenario, scenarios } from '../../chaos/scenarios.ts';

const seeds = Array.from({ length: 200 }, (_, seed) => seed);

function eachPlan(check: (plan: Plan, scenario: Scenario) => void): void {
  for (const scenario of scenarios) for (const seed of seeds) check(drawPlan(seed, scenario), scenario);
}

test('the same seed and scenario give the same plan, another seed another', () => {
  for (const scenario of scenarios) {
    assert.deepEqual(drawPlan(7, scenario), drawPlan(7, scenario));
    assert.notDeepEqual(drawPlan(7, scenario), drawPlan(8, scenario));
  }
  assert.deepEqual(contentOf('a', 1000), contentOf('a', 1000));
  assert.notDeepEqual(contentOf('a', 1000), contentOf('b', 1000));
});

test('a seed stands for the same scenario, and every scenario has seeds', () => {
  const drawn = seeds.map((seed) => drawScenario(seed, scenarios).name);
  assert.deepEqual(
    drawn,
    seeds.map((seed) => drawScenario(seed, scenarios).name),
  );
  assert.deepEqual([...new Set(drawn)].sort(), scenarios.map(({ name }) => name).sort());
});

test('every fault of a plan is one that its scenario allows, on nodes, clients and files that there are', () => {
  eachPlan(({ strikes, nodes, clients, files }, scenario) => {
    for (const { fault, moment } of strikes) {
      assert.ok(scenario.faults.includes(fault.kind), fault.kind);
      if ('node' in fault) assert.ok(nodes[fault.node]);
      if ('client' in fault) assert.ok(fault.client < clients);
      if ('file' in fault) assert.ok(files[fault.file]);
      if ('node' in moment) assert.ok(nodes[moment.node]);
    }
  });
});

test('a fault strikes within the content, or before it', () => {
  eachPlan(({ strikes, files, clients, content }) => {
    const total = clients * files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { moment } of strikes) {
      if ('ms' in moment) assert.ok(moment.ms <= 700);
      else if (moment.direction === content) assert.ok(moment.byte <= Math.max(600, total));
    }
  });
});

test('only faults on processes, or that alter bytes, strike otherwise than by the content that passes', () => {
  eachPlan(({ strikes, content }) => {
    for (const { fault, moment } of strikes) {
      const { hits } = faultKinds[fault.kind];
      if ('ms' in moment) assert.ok(hits === 'node' || hits === 'client');
      else if (moment.direction !== content) assert.equal(hits, 'bytes');
    }
  });
});

test('a node that clients reach first is on no later place, so that the bytes that cross their legs can be told', () => {
  eachPlan(({ routes, nodes }) => {
    for (const route of routes) {
      for (const [place, hops] of route.entries()) {
        for (const node of hops) assert.equal(nodes[node]?.isFirst, place === 0);
      }
      for (const origin of route.at(-1) ?? []) assert.equal(nodes[origin]?.isOrigin, true);
    }
  });
});

test('a kind of fault that the machine cannot produce is in no plan', () => {
  for (const scenario of scenarios) {
    for (const seed of seeds) {
      const { strikes } = drawPlan(seed, scenario, new Set(['disk-client', 'disk-origin']));
      assert.ok(strikes.every(({ fault }) => !fault.kind.startsWith('disk')));
    }
  }
});

test('plans have no fault, one and two, and every kind that a scenario allows', () => {
  for (const scenario of scenarios) {
    const plans = seeds.map((seed) => drawPlan(seed, scenario));
    assert.deepEqual([...new Set(plans.map(({ strikes }) => strikes.length))].sort(), [0, 1, 2]);
    const kinds = new Set(plans.flatMap(({ strikes }) => strikes.map(({ fault }) => fault.kind)));
    assert.deepEqual([...kinds].sort(), [...scenario.faults].sort());
  }
});

test('draws lie in their range and reach both ends of it', () => {
  const random = new Random(1, 'test');
  const drawn = Array.from({ length: 300 }, () => random.whole(3, 6));
  assert.deepEqual([...new Set(drawn)].sort(), [3, 4, 5, 6]);
  assert.throws(() => random.pick([]));
});

test('rounds have keys as they are asked to, and are the same otherwise', () => {
  for (const scenario of scenarios) {
    for (const seed of seeds) {
      const [on, off, mixed] = (['on', 'off', 'mixed'] as const).map((security) =>
        drawPlan(seed, scenario, new Set(), { nodes: true, clients: true }, security),
      ) as [Plan, Plan, Plan];
      assert.ok(on.keys && !off.keys);
      assert.deepEqual({ ...on, keys: 0 }, { ...off, keys: 0 });
      assert.deepEqual(mixed, mixed.keys ? on : off);
    }
  }
  const listed = seeds.map(
    (seed) => drawPlan(seed, scenarios[0] as Scenario, new Set(), undefined, 'on').keys?.listedAt,
  );
  assert.ok(listed.includes(undefined) && listed.some((ms) => ms !== undefined));
});
