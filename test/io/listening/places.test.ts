import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionLimits, type PlacedConnection, Places } from '../../../src/io/listening/places.ts';

interface Fake extends PlacedConnection {
  readonly gaveWay: boolean;
}

const limits: ConnectionLimits = { maxConnections: 4, maxPeerPercent: 75, maxRefusals: 2 };

function connect(host: string, isReading = true): Fake {
  return {
    address: { host, port: 1 },
    gaveWay: false,
    interrupt() {
      Object.assign(this, { gaveWay: isReading });
      return isReading;
    },
    destroy() {
      Object.assign(this, { gaveWay: true });
    },
  };
}

test('where all places are taken, the connection that has rested longest gives way, and one at work never', () => {
  const connections = new Places();
  const [working, first, second] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => connect(host));
  const third = connect('10.0.0.4', false);
  for (const one of [working, first, second, third] as Fake[]) assert.equal(connections.add(one, limits), undefined);
  connections.wake(working as Fake);
  connections.wake(first as Fake);
  connections.rest(first as Fake);
  for (const expected of [second, third, first] as Fake[]) {
    const newcomer = connect('10.0.0.5');
    assert.equal(connections.add(newcomer, limits), undefined);
    connections.wake(newcomer);
    assert.ok(expected.gaveWay);
  }
  assert.equal(working?.gaveWay, false);
  const refusal = connections.add(connect('10.0.0.6'), limits);
  assert.equal(refusal?.code, 'LIMIT_CONNECTIONS');
  assert.equal(connections.held, 4);
});

test('one peer holds its share at most, and others have the rest', () => {
  const connections = new Places();
  for (let count = 0; count < 3; count += 1) {
    const one = connect('::ffff:10.0.0.1');
    assert.equal(connections.add(one, limits), undefined);
    connections.wake(one);
  }
  assert.equal(connections.add(connect('10.0.0.1'), limits)?.code, 'LIMIT_CONNECTIONS');
  assert.equal(connections.add(connect('10.0.0.2'), limits), undefined);
});

test('one that is leaving holds no place, and of too many that leave the oldest is dropped', () => {
  const connections = new Places();
  const leaving = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => connect(host));
  for (const one of leaving) {
    connections.add(one, limits);
    connections.leave(one, limits);
  }
  assert.equal(connections.held, 0);
  assert.deepEqual(
    leaving.map(({ gaveWay }) => gaveWay),
    [true, false, false],
  );
  for (const one of leaving) connections.remove(one);
  assert.equal(connections.held, 0);
});
