/** The picture of a route at the end of a transfer that failed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawRoute } from '../../../src/cli/terminal/route-picture.ts';
import { HoplineError, type RouteStep } from '../../../src/core/errors.ts';

/** A way of `hops` hops, of which number `broken` fails. */
function wayOf(hops: number, broken: number, isLeg = true): RouteStep[] {
  return Array.from({ length: hops }, (_, index) => {
    const address = `10.0.0.${index + 1}:7001`;
    if (index + 1 !== broken) return { address, state: index + 1 < broken ? 'passes' : 'unreached' };
    return isLeg ? { address, state: 'fails', leg: true } : { address, state: 'fails' };
  });
}

const draw = (route: RouteStep[], columns = 60) =>
  drawRoute(new HoplineError('PEER_UNREACHABLE', 'no', { route }), columns);

test('a short way is drawn whole', () => {
  assert.deepEqual(draw(wayOf(3, 2)), [
    '  ok  hop 1  10.0.0.1:7001',
    '  x   hop 2  10.0.0.2:7001  <- leg 2: closed',
    '  -   hop 3  10.0.0.3:7001',
  ]);
  assert.deepEqual(draw(wayOf(2, 1, false)), ['  x   hop 1  10.0.0.1:7001  <- closed', '  -   hop 2  10.0.0.2:7001']);
});

test('of a long way what is far from the fault is told in a line', () => {
  assert.deepEqual(draw(wayOf(32, 16)), [
    '  ok  hops 1 to 14',
    '  ok  hop 15  10.0.0.15:7001',
    '  x   hop 16  10.0.0.16:7001  <- leg 16: closed',
    '  -   hops 17 to 32',
  ]);
});

test('a way of one hop, and an error without one, are not drawn', () => {
  assert.deepEqual(draw(wayOf(1, 1)), []);
  assert.deepEqual(drawRoute(new HoplineError('FILE_NOT_FOUND', 'no'), 60), []);
});

test('no line is longer than there are columns', () => {
  const route = wayOf(5, 3).map((step) => ({ ...step, address: `${'a'.repeat(80)}.example:65535` }));
  for (const columns of [40, 60, 100]) {
    for (const line of draw(route, columns)) assert.ok(line.length <= columns, line);
    assert.match(draw(route, columns)[2] ?? '', /… {2}<- leg 3: closed$/);
  }
});
