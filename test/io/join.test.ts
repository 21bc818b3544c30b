import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { joinLegs } from '../../src/io/join.ts';
import { receiveAll } from '../support/chain.ts';
import { makeLeg, writeUntilStopped } from '../support/legs.ts';

test('bytes pass both ways, are counted, and an end goes on alone', async (t) => {
  const near = await makeLeg(t);
  const far = await makeLeg(t);
  const joined = joinLegs(near.leg, far.leg);
  const atFar = receiveAll(far.peer);
  const atNear = receiveAll(near.peer);
  const [question, answer] = [randomBytes(500_000), randomBytes(3_000_000)];
  near.peer.end(question);
  assert.deepEqual(await atFar, question);
  far.peer.end(answer);
  assert.deepEqual(await atNear, answer);
  assert.deepEqual(await joined, { bytesForward: question.length, bytesBack: answer.length });
});

test('the far side may end first', async (t) => {
  const near = await makeLeg(t);
  const far = await makeLeg(t);
  const joined = joinLegs(near.leg, far.leg);
  const atNear = receiveAll(near.peer);
  far.peer.end('answer');
  assert.equal((await atNear).toString(), 'answer');
  const atFar = receiveAll(far.peer);
  near.peer.end('afterwards');
  assert.equal((await atFar).toString(), 'afterwards');
  assert.equal((await joined).failure, undefined);
});

for (const broken of ['near', 'far'] as const) {
  test(`a reset of the ${broken} side resets the other`, async (t) => {
    const pair = { near: await makeLeg(t), far: await makeLeg(t) };
    const joined = joinLegs(pair.near.leg, pair.far.leg);
    const other = pair[broken === 'near' ? 'far' : 'near'].peer;
    other.resume();
    const failed = once(other, 'error').catch((error) => [error]);
    pair[broken].peer.resetAndDestroy();
    assert.equal((await joined).failure?.code, 'PEER_LOST');
    assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  });
}

test('a tunnel on which nothing moves is given up on both sides', async (t) => {
  const near = await makeLeg(t, { idleMs: 20 });
  const far = await makeLeg(t);
  const { failure } = await joinLegs(near.leg, far.leg);
  assert.equal(failure?.code, 'TIMEOUT_IDLE');
});

test('a reader that stops makes the writer on the other side stop', async (t) => {
  const near = await makeLeg(t);
  const far = await makeLeg(t);
  const joined = joinLegs(near.leg, far.leg);
  const total = 128 * 1024 * 1024;
  const sent = await writeUntilStopped(far.peer, total);
  assert.ok(sent < total, 'everything went to a reader that had stopped');
  far.peer.end();
  const received = receiveAll(near.peer);
  near.peer.end();
  assert.equal((await received).length, sent);
  assert.equal((await joined).failure, undefined);
});
