/** Hops that want a trace to last for ever: each has its end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstFailure } from '../../../src/client/trace/hop-look.ts';
import { traceRoutes } from '../../../src/client/trace/trace-route.ts';
import { parseVia } from '../../../src/index.ts';
import { encodeMessage } from '../../../src/wire/native/messages.ts';
import { startOddNode } from '../../support/broken-legs.ts';

test('a relay that makes members of a pool up is asked for no more than it could be told to avoid', async (t) => {
  let made = 0;
  const pong = encodeMessage({ type: 'pong', software: 'hostile', features: [] });
  const hostile = await startOddNode(
    t,
    (socket) => socket.write(pong),
    (socket, { hops }) => {
      if (hops.length === 1) return;
      made += 1;
      socket.write(encodeMessage({ type: 'taken', hop: 2, address: `127.0.0.1:${made}` }));
    },
  );
  const looks = await traceRoutes({ route: parseVia([`${hostile},@files`], 'any'), count: 1 });
  assert.deepEqual([made, looks.length], [17, 18]);
});

test('a hop that answers a probe a byte at a time has as long as a node gives a probe', async (t) => {
  const hostile = await startOddNode(t, (socket, request) => {
    if (request.type === 'ping')
      socket.write(encodeMessage({ type: 'pong', software: 'hostile', features: ['probe'] }));
    if (request.type !== 'probe') return;
    socket.write(encodeMessage({ type: 'probed', down: request.down }));
    const trickle = setInterval(() => socket.write('.'), 10);
    socket.on('close', () => clearInterval(trickle));
  });
  const looks = await traceRoutes({ route: parseVia([hostile], 'any'), count: 1, limits: { probeHoldMs: 100 } });
  const [finding] = looks[0]?.findings ?? [];
  const message = 'not measured whether large segments pass: a probe took longer than 0.1 s (probeHoldMs)';
  assert.deepEqual(finding, { kind: 'warning', message, advice: 'try again later' });
  assert.equal(firstFailure(looks), undefined);
});
