import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentWay } from '../../../src/client/ways/recent-way.ts';
import { parseVia } from '../../../src/index.ts';
import { FakeClock } from '../../support/legs.ts';

const { routes } = parseVia(['127.0.0.1:1 | 127.0.0.1:2, 127.0.0.1:3', '127.0.0.1:4'], 'x');
const [first = [], second = []] = routes;
const [[preferred, alternate] = [], [origin] = []] = first;

test('the way that carried something goes before all others, until it is time to try the preferred ones again', () => {
  assert.ok(preferred && alternate && origin);
  const clock = new FakeClock();
  const recent = new RecentWay(routes, clock, 1000);
  assert.deepEqual(recent.routes, routes);
  recent.carried([alternate, origin]);
  assert.deepEqual(recent.routes, [[[alternate], [origin]], first, second]);
  clock.advance(999);
  // More of the same does not put it off.
  recent.carried([{ ...alternate }, origin]);
  assert.equal(recent.routes.length, 3);
  clock.advance(1);
  assert.deepEqual(recent.routes, routes);
  recent.carried([preferred, origin]);
  assert.deepEqual(recent.routes[0], [[preferred], [origin]]);
});

test('another way that carries something takes the place of the last', () => {
  assert.ok(preferred && alternate && origin);
  const clock = new FakeClock();
  const recent = new RecentWay(routes, clock, 1000);
  recent.carried([alternate, origin]);
  clock.advance(900);
  recent.carried([preferred, origin]);
  clock.advance(900);
  assert.deepEqual(recent.routes[0], [[preferred], [origin]]);
});
