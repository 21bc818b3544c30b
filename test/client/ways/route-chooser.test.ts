import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPermanent } from '../../../src/client/ways/avoidance.ts';
import { RouteChooser } from '../../../src/client/ways/route-chooser.ts';
import { type ErrorCode, type ErrorDetails, errorCodes, HoplineError } from '../../../src/core/errors.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import { type Address, type Hop, isPoolHop } from '../../../src/wire/address.ts';
import { parseVia } from '../../../src/wire/route.ts';

const { avoidMs, avoidMaxMs, retryMinMs, retryMaxMs } = defaultLimits;

/** A plan such as `['a|b,c', 'd']`, each letter a hop, and a chooser for it whose clock stands still. */
function start(routes: readonly string[], random = () => 0) {
  let nowMs = 1000;
  const clock = { now: () => nowMs, after: () => () => {} };
  const vias = routes.map((route) => route.replaceAll(/(?<!@)\w/g, '$&:1'));
  const chooser = new RouteChooser(parseVia(vias, 'file'), { clock, random });
  return {
    chooser,
    /** The way that is chosen, such as `ac`. */
    way: () => show(chooser.choose()?.hops),
    waitMs: () => chooser.choose()?.waitMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** Lets whatever is chosen fail. */
    fail: (code: ErrorCode, details: ErrorDetails = {}) => {
      chooser.failed(chooser.choose()?.hops ?? [], failure(code, details));
    },
  };
}

const hopsOf = (way: string): readonly Hop[] => [...way].flatMap((host) => ({ host, port: 1 }) as Hop);
const hostOf = (hop: Hop) => (isPoolHop(hop) ? hop.pool : hop.host);
const show = (hops: readonly Hop[] | undefined) => hops?.map(hostOf).join('');
const failure = (code: ErrorCode, details: ErrorDetails = {}) => new HoplineError(code, 'it failed', details);
const looked = { cause: failure('PEER_LOST') };

const blamed: [code: ErrorCode, details: ErrorDetails, next: string][] = [
  ['PEER_UNREACHABLE', { hop: 0 }, 'bce'],
  ['PEER_UNREACHABLE', { hop: 1 }, 'ade'],
  ['PEER_UNREACHABLE', { hop: 2 }, 'acf'],
  ['PEER_UNRESOLVED', { hop: 1, reason: 'EAI_AGAIN' }, 'ade'],
  ['PEER_UNRESOLVED', { hop: 1, reason: 'ENOTFOUND' }, 'ade'],
  ['TIMEOUT_CONNECT', { hop: 2 }, 'acf'],
  ['POLICY_DENIED', { hop: 1 }, 'ade'],
  ['LIMIT_CONNECTIONS', { hop: 1 }, 'bce'],
  ['LIMIT_CONNECTIONS', { hop: 3 }, 'acf'],
  ['LIMIT_HEAD', { hop: 2 }, 'ade'],
  ['LIMIT_HOPS', { hop: 2 }, 'ade'],
  ['LIMIT_HOPS', { hop: 3 }, 'acf'],
  ['ROUTE_LOOP', { hop: 2 }, 'ade'],
  ['NODE_STOPPING', { hop: 1 }, 'bce'],
  ['PEER_VERSION', { hop: 2 }, 'ade'],
  ['PEER_CLASSIC', { hop: 2 }, 'ade'],
  ['PEER_PROTOCOL', { hop: 2 }, 'ade'],
  ['INTERNAL', { hop: 2 }, 'ade'],
  ['TIMEOUT_HEAD', { hop: 2 }, 'ade'],
  ['FILE_NOT_FOUND', { hop: 3 }, 'acf'],
  ['FILE_DENIED', { hop: 3 }, 'acf'],
  ['UPLOAD_DENIED', { hop: 3 }, 'acf'],
  ['DISK_BUSY', { hop: 3 }, 'acf'],
  ['FILE_UNREADABLE', { hop: 3 }, 'acf'],
  ['FILE_CHANGED', {}, 'acf'],
  ['PEER_LOST', { hop: 0, ...looked }, 'bce'],
  ['PEER_LOST', { hop: 1, ...looked }, 'ade'],
  ['TIMEOUT_IDLE', { hop: 2, ...looked }, 'acf'],
  ['TIMEOUT_IDLE', { hop: 3 }, 'acf'],
  ['TIMEOUT_HEAD', { hop: 0, ...looked }, 'bce'],
  ['TIMEOUT_HEAD', { hop: 1, ...looked }, 'ade'],
  ['PEER_PROTOCOL', { hop: 2, ...looked }, 'acf'],
  ['PEER_LOST', {}, 'bdf'],
  ['TIMEOUT_IDLE', {}, 'bdf'],
  ['HASH_MISMATCH', {}, 'bdf'],
  ['HASH_MISMATCH', { hop: 1 }, 'bdf'],
  ['LIMIT_CONNECTIONS', { hop: 256 }, 'bdf'],
];
for (const [code, details, next] of blamed) {
  const place = details.hop === undefined ? 'somewhere' : `at ${details.hop}`;
  test(`after ${code} ${place}${details.cause ? ', where the leg broke,' : ''} comes ${next}, at once`, () => {
    const { chooser, way, fail } = start(['a|b,c|d,e|f']);
    assert.equal(way(), 'ace');
    fail(code, details);
    assert.equal(way(), next);
    assert.equal(chooser.choose()?.waitMs, 0);
    assert.equal(chooser.hasUntried(), true);
  });
}

const sequences: [what: string, routes: string[], steps: [code: ErrorCode, hop: number, next: string | undefined][]][] =
  [
    [
      'a relay that reaches no origin is replaced once they have all failed',
      ['a|b,c|d'],
      [
        ['PEER_UNREACHABLE', 1, 'ad'],
        ['PEER_UNREACHABLE', 1, 'bc'],
        ['PEER_UNREACHABLE', 1, 'bd'],
      ],
    ],
    [
      'a leg that is not allowed is opened from another relay',
      ['a|b,c'],
      [
        ['POLICY_DENIED', 1, 'bc'],
        ['POLICY_DENIED', 1, undefined],
      ],
    ],
    ['an origin without the file is still a relay to another', ['a,b', 'b,c'], [['FILE_NOT_FOUND', 2, 'bc']]],
    ['a relay that takes no route as long still takes a shorter one', ['a,b,c', 'a,c'], [['LIMIT_HOPS', 1, 'ac']]],
    ['an origin that takes no route as long still takes a shorter one', ['a,b,c', 'a,c'], [['LIMIT_HOPS', 3, 'ac']]],
    ['a hop that is on the route under two names may have an alternate', ['a|b,c'], [['ROUTE_LOOP', 2, 'bc']]],
    [
      'a hop that failed is avoided on every route',
      ['a,b', 'c,b', 'c,d'],
      [
        ['PEER_UNREACHABLE', 1, 'cd'],
        ['NODE_STOPPING', 2, 'cb'],
      ],
    ],
    [
      'where all have failed, the one that failed least comes first',
      ['a', 'b', 'c'],
      [
        ['LIMIT_CONNECTIONS', 1, 'b'],
        ['LIMIT_CONNECTIONS', 1, 'c'],
        ['LIMIT_CONNECTIONS', 1, 'a'],
        ['LIMIT_CONNECTIONS', 1, 'b'],
      ],
    ],
    [
      'a file that is nowhere leaves no way',
      ['a,b|c', 'd'],
      [
        ['FILE_NOT_FOUND', 2, 'ac'],
        ['FILE_NOT_FOUND', 2, 'd'],
        ['FILE_DENIED', 1, undefined],
      ],
    ],
  ];
for (const [what, routes, steps] of sequences) {
  test(what, () => {
    const { way, fail, pass } = start(routes);
    for (const [code, hop, next] of steps) {
      fail(code, { hop });
      assert.equal(way(), next);
      pass(10);
    }
  });
}

test('a name that one relay does not know is asked of another before it is given up', () => {
  const { way, fail } = start(['a|b,c']);
  fail('PEER_UNRESOLVED', { hop: 1, reason: 'ENOTFOUND' });
  assert.equal(way(), 'bc');
  fail('PEER_UNRESOLVED', { hop: 1, reason: 'ENOTFOUND' });
  assert.equal(way(), undefined);
});

test('a way that broke nobody knows where is avoided no more than one hop that is known to fail', () => {
  const { way, fail } = start(['a,b,c', 'd']);
  fail('PEER_LOST');
  assert.equal(way(), 'd');
  fail('NODE_STOPPING', { hop: 1 });
  assert.equal(way(), 'abc');
});

const permanent: [code: ErrorCode, details: ErrorDetails][] = [
  ['POLICY_DENIED', { hop: 1 }],
  ['POOL_UNKNOWN', { hop: 1 }],
  ['PEER_VERSION', { hop: 1 }],
  ['PEER_CLASSIC', { hop: 1 }],
  ['PEER_PROTOCOL', { hop: 1 }],
  ['PEER_UNRESOLVED', { hop: 0, reason: 'ENOTFOUND' }],
  ['LIMIT_HOPS', { hop: 1 }],
  ['LIMIT_HEAD', { hop: 2 }],
  ['ROUTE_LOOP', { hop: 1 }],
  ['FILE_NOT_FOUND', { hop: 2 }],
  ['FILE_DENIED', { hop: 2 }],
  ['UPLOAD_DENIED', { hop: 2 }],
  ['AUTH_REQUIRED', { hop: 2 }],
  ['AUTH_DENIED', { hop: 2 }],
];
test('with one way, nothing is left after what no second try mends, and a wait after all else', () => {
  for (const [code, details] of permanent) {
    const { chooser, fail, pass } = start(['a,b']);
    fail(code, details);
    assert.equal(isPermanent(failure(code, details)), true, code);
    pass(avoidMaxMs * 2);
    assert.equal(chooser.choose(), undefined, code);
    assert.equal(chooser.hasUntried(), false, code);
  }
  for (const code of errorCodes) {
    for (const hop of [undefined, 0, 1, 2, 3]) {
      const { chooser, fail } = start(['a,b']);
      fail(code, hop === undefined ? {} : { hop });
      const next = chooser.choose();
      assert.ok(next === undefined || next.waitMs > 0, `${code} at ${hop}`);
      assert.equal(chooser.hasUntried(), false, `${code} at ${hop}`);
    }
  }
});

test('what may be mended is not permanent', () => {
  const passing: [ErrorCode, ErrorDetails][] = [
    ['PEER_UNREACHABLE', { hop: 1 }],
    ['PEER_UNRESOLVED', { hop: 1, reason: 'EAI_AGAIN' }],
    ['PEER_PROTOCOL', {}],
    ['PEER_PROTOCOL', { hop: 1, ...looked }],
    ['FILE_CHANGED', { hop: 1 }],
    ['LIMIT_CONNECTIONS', { hop: 1 }],
  ];
  for (const [code, details] of passing) assert.equal(isPermanent(failure(code, details)), false, code);
});

test('what failed is avoided for 30 s, and twice as long each time that it fails again, up to 5 min', () => {
  const { way, fail, pass } = start(['a', 'b']);
  for (const ms of [avoidMs, 2 * avoidMs, 4 * avoidMs, 8 * avoidMs, avoidMaxMs, avoidMaxMs]) {
    assert.equal(way(), 'a');
    fail('PEER_UNREACHABLE', { hop: 0 });
    pass(ms - 1);
    assert.equal(way(), 'b', `${ms} ms`);
    pass(1);
  }
});

test('a way that carried content is forgiven, with its legs and whatever was said about its file', () => {
  for (const [code, hop] of [
    ['PEER_UNREACHABLE', 1],
    ['LIMIT_CONNECTIONS', 1],
    ['POLICY_DENIED', 1],
    ['FILE_UNREADABLE', 2],
    ['PEER_LOST', undefined],
  ] as const) {
    const { chooser, way, fail } = start(['a,b', 'c,d']);
    fail(code, hop === undefined ? {} : { hop });
    assert.equal(way(), 'cd');
    chooser.succeeded(hopsOf('ab'));
    assert.deepEqual([way(), chooser.choose()?.waitMs, chooser.hasUntried()], ['ab', 0, true]);
  }
});

test('the only way is tried again after a wait that doubles, half of it at random, and is over in time', () => {
  let chance = 0;
  const { waitMs, fail, pass } = start(['a,b'], () => chance);
  for (const ms of [250, 500, 1000, 2000, 4000, retryMaxMs, retryMaxMs]) {
    fail('PEER_UNREACHABLE', { hop: 1 });
    chance = 0;
    assert.equal(waitMs(), ms / 2);
    chance = 0.5;
    assert.equal(waitMs(), Math.ceil((ms * 3) / 4));
    pass(100);
    assert.equal(waitMs(), Math.ceil((ms * 3) / 4) - 100);
    pass(ms);
    assert.equal(waitMs(), 0);
  }
  assert.equal(retryMinMs, 250);
});

test('circuits that break together count as one failure, one that was opened since as another', () => {
  const { chooser, waitMs, pass } = start(['a']);
  const circuits = [1, 2, 3].map(() => [...hopsOf('a')]);
  for (const hops of circuits) chooser.use(hops);
  pass(1000);
  for (const hops of circuits) {
    chooser.failed(hops, failure('PEER_LOST', { hop: 0, ...looked }));
    pass(1);
  }
  assert.equal(waitMs(), 250 / 2 - 1);
  const later = hopsOf('a');
  chooser.use(later);
  pass(10);
  chooser.failed(later, failure('PEER_LOST', { hop: 0, ...looked }));
  assert.equal(waitMs(), 500 / 2);
});

test('a full node is not forgiven for serving a circuit that came earlier', () => {
  const { chooser, waitMs, pass } = start(['a']);
  const [early, late] = [hopsOf('a'), hopsOf('a')];
  chooser.use(early);
  pass(10);
  chooser.failed(hopsOf('a'), failure('LIMIT_CONNECTIONS', { hop: 1 }));
  chooser.succeeded(early);
  assert.equal(waitMs(), 125);
  pass(125);
  chooser.use(late);
  chooser.succeeded(late);
  assert.equal(waitMs(), 0);
});

test('circuits at once are spread over the routes first, then over the alternates', () => {
  const { chooser } = start(['a|b,c|d', 'a,e', 'f|g,h']);
  const taken = Array.from({ length: 6 }, () => {
    const { route, hops } = chooser.choose() ?? { route: -1, hops: [] };
    chooser.use(hops);
    return `${route}${show(hops)}`;
  });
  assert.deepEqual(taken.slice(0, 3).sort(), ['0ac', '1ae', '2fh']);
  assert.deepEqual(taken.slice(3).sort(), ['0bd', '1ae', '2gh']);
});

test('a way that is not used any more is the first again, however often that is said', () => {
  const { chooser, way } = start(['a|b']);
  const release = chooser.use(hopsOf('a'));
  const second = chooser.use(hopsOf('b'));
  const third = chooser.use(hopsOf('b'));
  release();
  release();
  assert.equal(way(), 'a');
  chooser.use(hopsOf('a'));
  second();
  assert.equal(way(), 'a');
  third();
  assert.equal(way(), 'b');
});

test('a hop that is avoided is not used for the sake of spreading', () => {
  const { chooser, way } = start(['a|b']);
  chooser.use(hopsOf('b'));
  chooser.failed(hopsOf('a'), failure('NODE_STOPPING', { hop: 1 }));
  assert.equal(way(), 'b');
});

test('a failure that another way would share leaves nothing untried, even while its circuit counts as in use', () => {
  const { chooser } = start(['a,b|c|d']);
  const release = chooser.use(hopsOf('ab'));
  chooser.failed(hopsOf('ab'), failure('LIMIT_CONNECTIONS', { hop: 1 }));
  assert.equal(chooser.hasUntried(), false);
  release();
  assert.equal(chooser.hasUntried(), false);
});

test('a route over hops that have all failed on others is untried', () => {
  const { chooser, way, fail } = start(['a,b,c', 'a,c']);
  fail('PEER_UNREACHABLE', { hop: 1 });
  assert.deepEqual([way(), chooser.hasUntried()], ['ac', true]);
  fail('PEER_UNREACHABLE', { hop: 1 });
  assert.equal(chooser.hasUntried(), false);
});

test('a plan that nobody parsed, with a place or a route without hops, has no way there and does not fail', () => {
  const clock = { now: () => 0, after: () => () => {} };
  const [hop] = hopsOf('a');
  const ways = (routes: Hop[][][]) => new RouteChooser({ routes }, { clock }).choose();
  assert.equal(ways([]), undefined);
  assert.equal(ways([[[hop as Hop], []]]), undefined);
  assert.deepEqual(show(ways([[[]], [[hop as Hop]]])?.hops), 'a');
});

test('among 16 to the power of 32 ways the only clean one is found', () => {
  const places = Array.from({ length: 32 }, (_, place) =>
    Array.from({ length: 16 }, (_, alternate) => `h${place}-${alternate}:1`).join('|'),
  );
  const clock = { now: () => 0, after: () => () => {} };
  const chooser = new RouteChooser(parseVia(places.join(','), 'file'), { clock });
  for (let failed = 0; failed < 15 * 32; failed += 1) {
    const { hops = [] } = chooser.choose() ?? {};
    chooser.failed(hops, failure('LIMIT_CONNECTIONS', { hop: (failed % 32) + 1 }));
  }
  const { hops = [], waitMs } = chooser.choose() ?? {};
  assert.deepEqual([hops.length, hops.every((hop) => hostOf(hop).endsWith('-15')), waitMs], [32, true, 0]);
});

const letters = [...'abcdefghijkl'];
const anyRoute = fc
  .tuple(fc.shuffledSubarray(letters, { minLength: 1 }), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 12 }))
  .map(([hops, sizes]) => {
    const left = [...hops];
    const places = sizes.slice(0, 4).map((size) => left.splice(0, size).join('|'));
    return places.filter((place) => place !== '').join(',');
  });
const anyRoutes = fc.array(anyRoute, { minLength: 1, maxLength: 4 });

/** Every way of a plan in the order of preference. */
function waysOf(routes: readonly string[]): string[] {
  return routes.flatMap((route) =>
    route
      .split(',')
      .reduce<string[]>((ways, place) => ways.flatMap((way) => place.split('|').map((hop) => way + hop)), ['']),
  );
}

test('whatever failed, the first clean way as written is chosen, and none only if every way is denied', () => {
  const step = fc.record({ place: fc.nat(4), isDenied: fc.boolean() });
  fc.assert(
    fc.property(anyRoutes, fc.array(step, { maxLength: 30 }), (routes, steps) => {
      const { chooser, way } = start(routes);
      const ways = waysOf(routes);
      const hops = new Set<string>();
      const legs = new Set<string>();
      for (const { place, isDenied } of steps) {
        const clean = ways.filter((each) => !isHit(each, hops, legs));
        const allowed = ways.filter((each) => !isHit(each, new Set(), legs));
        const chosen = way();
        if (clean.length > 0) assert.equal(chosen, clean[0]);
        else if (chosen === undefined) assert.deepEqual(allowed, []);
        else assert.ok(allowed.includes(chosen));
        if (chosen === undefined) return;
        const from = Math.min(place, chosen.length - 1);
        if (isDenied) legs.add(`-${chosen}`.slice(from, from + 2));
        else hops.add(chosen[from] as string);
        const error = isDenied ? failure('POLICY_DENIED', { hop: from }) : failure('NODE_STOPPING', { hop: from + 1 });
        chooser.failed(hopsOf(chosen), error);
      }
    }),
  );
});

function isHit(way: string, hops: ReadonlySet<string>, legs: ReadonlySet<string>): boolean {
  const points = `-${way}`;
  return [...way].some((hop, index) => hops.has(hop) || legs.has(points.slice(index, index + 2)));
}

const anyFailure = fc.record({
  code: fc.constantFrom(...errorCodes),
  place: fc.option(fc.nat(5), { nil: undefined }),
  wasLooked: fc.boolean(),
  ms: fc.integer({ min: 0, max: 60_000 }),
});

test('whatever fails, a client that retries nothing stops after as many circuits as there are hops and routes', () => {
  fc.assert(
    fc.property(anyRoutes, fc.array(anyFailure, { minLength: 20, maxLength: 20 }), (routes, failures) => {
      const { chooser, pass } = start(routes);
      const most = new Set(waysOf(routes).join('')).size + routes.length;
      for (let circuits = 0; ; circuits += 1) {
        assert.ok(circuits <= most, `${circuits} circuits`);
        const { code, place, wasLooked, ms } = failures[circuits % failures.length] as (typeof failures)[number];
        const hops = chooser.choose()?.hops;
        if (!hops) return;
        const release = chooser.use(hops);
        pass(ms);
        chooser.failed(
          hops,
          failure(code, { ...(place === undefined ? {} : { hop: place }), ...(wasLooked ? looked : {}) }),
        );
        const goesOn = chooser.hasUntried();
        release();
        if (!goesOn) return;
      }
    }),
  );
});

test('any two choosers with the same chances and the same failures choose alike', () => {
  const run = (routes: readonly string[], failures: readonly { code: ErrorCode; place: number | undefined }[]) => {
    let seed = 1;
    const random = () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const { chooser } = start(routes, random);
    return failures.map(({ code, place }) => {
      const way = chooser.choose();
      if (way) chooser.failed(way.hops, failure(code, place === undefined ? {} : { hop: place }));
      return way;
    });
  };
  fc.assert(
    fc.property(anyRoutes, fc.array(anyFailure, { maxLength: 20 }), (routes, failures) => {
      assert.deepEqual(run(routes, failures), run(routes, failures));
    }),
  );
});

test('waits are never longer than the cap, and everything is forgotten in the end unless it is permanent', () => {
  fc.assert(
    fc.property(anyRoutes, fc.array(anyFailure, { maxLength: 30 }), (routes, failures) => {
      const { chooser, way, fail, pass } = start(routes, () => 0.999);
      for (const { code, place, ms } of failures) {
        if (permanent.some(([each]) => each === code)) continue;
        fail(code, place === undefined ? {} : { hop: place });
        const { waitMs = -1 } = chooser.choose() ?? {};
        assert.ok(waitMs >= 0 && waitMs <= retryMaxMs, `${waitMs} ms`);
        pass(ms);
      }
      pass(avoidMaxMs);
      assert.deepEqual([way(), chooser.choose()?.waitMs], [waysOf(routes)[0], 0]);
    }),
  );
});

test('each of several circuits at once has a hop of its own where there are as many alternates', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), (routes, alternates) => {
      const plan = Array.from({ length: routes }, (_, route) =>
        letters.slice(route * 3, route * 3 + alternates).join('|'),
      );
      const distinct = new Set(plan.flatMap((route) => route.split('|')));
      const { chooser } = start(plan);
      const taken = new Set<string>();
      for (let count = 0; count < distinct.size; count += 1) {
        const { hops = [] } = chooser.choose() ?? {};
        chooser.use(hops);
        taken.add(show(hops) as string);
      }
      assert.deepEqual(taken, distinct);
    }),
  );
});

/** A chooser of one way over a relay and a pool; `fail` lets a circuit over that fail whose pool took `host`. */
function startPool() {
  const { chooser, pass } = start(['a,@p']);
  const fail = (host: string, code: ErrorCode, details: ErrorDetails) => {
    const { hops = [] } = chooser.choose() ?? {};
    const release = chooser.use(hops);
    pass(1);
    chooser.failed(hops, failure(code, details), [hops[0] as Hop, { pool: 'p', member: memberOf(host) }]);
    release();
    pass(1);
    const next = chooser.choose();
    return { avoid: next?.avoid, isUntried: chooser.hasUntried(), waits: next && next.waitMs > 0 };
  };
  return { chooser, fail, pass };
}

const memberOf = (host: string) => ({ host, port: 1 }) as Address;

test('a pool is tried at once for as long as it has members that did not fail, and then as any hop is', () => {
  const { fail, pass, chooser } = startPool();
  const broken = ['PEER_UNREACHABLE', { hop: 1 }] as const;
  assert.deepEqual(fail('X', ...broken), { avoid: ['x:1'], isUntried: true, waits: false });
  assert.deepEqual(fail('y', ...broken), { avoid: ['x:1', 'y:1'], isUntried: true, waits: false });
  assert.deepEqual(fail('x', ...broken), { avoid: ['x:1', 'y:1'], isUntried: false, waits: true });
  pass(avoidMaxMs);
  assert.deepEqual(chooser.choose()?.avoid, []);
});

test('members that all lack the file leave no way', () => {
  const { fail, chooser } = startPool();
  assert.deepEqual(fail('x', 'FILE_NOT_FOUND', { hop: 2 }), { avoid: ['x:1'], isUntried: true, waits: false });
  fail('x', 'FILE_NOT_FOUND', { hop: 2 });
  assert.equal(chooser.choose(), undefined);
});

test('a fault before the pool is not its members’', () => {
  const { fail } = startPool();
  assert.deepEqual(fail('x', 'NODE_STOPPING', { hop: 1 }), { avoid: [], isUntried: false, waits: true });
});

test('members without end are not believed for long', () => {
  const { fail } = startPool();
  const broken = ['PEER_UNREACHABLE', { hop: 1 }] as const;
  for (let count = 0; count < 16; count += 1) assert.equal(fail(`m${count}`, ...broken).isUntried, true);
  assert.deepEqual(fail('another', ...broken).isUntried, false);
});

test('a member that served is not avoided any more', () => {
  const { fail, chooser } = startPool();
  fail('x', 'PEER_UNREACHABLE', { hop: 1 });
  const { hops = [] } = chooser.choose() ?? {};
  chooser.use(hops);
  chooser.succeeded(hops, [hops[0] as Hop, { pool: 'p', member: memberOf('x') }]);
  assert.deepEqual(chooser.choose()?.avoid, []);
});
