import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../../src/io/rates/rate.ts';
import { FakeClock } from '../../support/legs.ts';

const kib = 1024;
const mib = 1024 * 1024;

/** Takes as much as it can get, again and again; tells how much that was. */
function startGreedy(rate: RateLimit, wanted = mib): { bytes: number; stop: () => void } {
  const user = { bytes: 0, stop: () => {} };
  const go = (granted: number) => {
    user.bytes += granted;
    for (let more = rate.grant(wanted); more > 0; more = rate.grant(wanted)) user.bytes += more;
    user.stop = rate.wait(wanted, go);
  };
  go(0);
  return user;
}

for (const bytesPerSecond of [kib, 100 * kib, 10 * mib, 10_000 * mib]) {
  test(`at ${bytesPerSecond} bytes a second, the burst passes at once and the rate from then on`, () => {
    const clock = new FakeClock();
    const rate = new RateLimit(bytesPerSecond, clock);
    const burst = Math.max(16 * kib, bytesPerSecond / 10);
    const user = startGreedy(rate, bytesPerSecond);
    assert.equal(rate.burstBytes, Math.floor(burst));
    assert.ok(Math.abs(user.bytes - burst) < 1460, `${user.bytes} of ${burst}`);
    for (let passed = 0; passed < 60_000; passed += 5) clock.advance(5);
    const due = burst + 60 * bytesPerSecond;
    assert.ok(user.bytes <= due && user.bytes > due - 1460 - bytesPerSecond / 50, `${user.bytes} of ${due}`);
    user.stop();
    assert.equal(clock.waiting, 0);
  });
}

test('time that nobody used brings no more than the burst', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(mib, clock);
  clock.advance(3_600_000);
  const user = startGreedy(rate);
  assert.ok(user.bytes <= rate.burstBytes);
  user.stop();
});

test('what is given back may pass again, and never makes more than the burst', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(100 * kib, clock);
  const granted = rate.grant(mib);
  assert.equal(rate.grant(1), 0);
  rate.giveBack(granted - 5000);
  assert.equal(rate.grant(mib), granted - 5000);
  rate.giveBack(granted);
  rate.giveBack(granted);
  assert.equal(rate.grant(mib), granted);
});

/** A slow limit of one user under a quicker one for all, which has `left` bytes to give. */
function makeShared(left: number) {
  const clock = new FakeClock();
  const all = new RateLimit(100 * kib, clock);
  all.grant(all.burstBytes - left);
  const own = new RateLimit(kib, clock, all);
  return { clock, all, own };
}

test('what the limit for all does not let pass is not held against the user', () => {
  const { own, all } = makeShared(3000);
  assert.equal(own.grant(10_000), 3000);
  all.giveBack(own.burstBytes);
  assert.equal(own.grant(mib), own.burstBytes - 3000);
});

test('what is given back may pass again under the limit of the user and under that for all', () => {
  const { own, all } = makeShared(8000);
  assert.equal(own.grant(8000), 8000);
  own.giveBack(5000);
  assert.equal(all.grant(mib), 5000);
  all.giveBack(mib);
  assert.equal(own.grant(mib), own.burstBytes - 3000);
});

test('who waits for the limit for all gets back what that did not grant', () => {
  const { clock, own, all } = makeShared(0);
  const granted: number[] = [];
  own.wait(10_000, (bytes) => granted.push(bytes));
  clock.advance(30);
  const [got = 0] = granted;
  assert.ok(got > 0 && got < 10_000, `${got} of 10000`);
  all.giveBack(mib);
  // The time itself has brought the user's own limit 30 bytes.
  assert.equal(own.grant(mib), own.burstBytes - got + 30);
});

test('who stops waiting for the limit for all has used nothing of the own one', () => {
  const { own, all } = makeShared(0);
  const cancel = own.wait(10_000, () => assert.fail('it was cancelled'));
  cancel();
  all.giveBack(mib);
  assert.equal(own.grant(mib), own.burstBytes);
});

test('less than a segment is granted only to who wants no more', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(100 * kib, clock);
  rate.grant(rate.burstBytes - 100);
  assert.equal(rate.grant(5000), 0);
  assert.equal(rate.grant(60), 60);
});

test('greedy users share evenly, and one that comes late or wants little is not starved', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(mib, clock);
  const greedy = Array.from({ length: 10 }, () => startGreedy(rate));
  const [first] = greedy;
  const head = first?.bytes ?? 0;
  let served = 0;
  const ask = () => {
    rate.wait(100, (granted) => {
      served += granted;
      ask();
    });
  };
  ask();
  for (let passed = 0; passed < 10_000; passed += 10) clock.advance(10);
  for (const [place, { bytes }] of greedy.entries()) {
    const fair = (place === 0 ? head : 0) + mib;
    assert.ok(Math.abs(bytes - fair) < fair / 20, `${bytes} of ${fair}`);
  }
  // A turn comes every 10 ms, and nobody is passed over in one.
  assert.ok(served > 500 * 100, `${served}`);
});

test('a thousand users of a slow limit all have their turn', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(100 * kib, clock);
  const users = Array.from({ length: 1000 }, () => startGreedy(rate));
  for (let passed = 0; passed < 15_000; passed += 10) clock.advance(10);
  assert.ok(users.every(({ bytes }) => bytes > 0));
});

test('who asks while others wait does not pass them by', () => {
  const clock = new FakeClock();
  const rate = new RateLimit(100 * kib, clock);
  rate.grant(mib);
  let turn = 0;
  const cancel = rate.wait(mib, (granted) => {
    turn = granted;
  });
  rate.giveBack(10 * kib);
  assert.equal(rate.grant(1), 0);
  clock.advance(15);
  assert.equal(turn, 11.5 * kib);
  cancel();
});

test('a limit of one’s own holds under a shared one, and the shared one holds for all', () => {
  const clock = new FakeClock();
  const total = new RateLimit(mib, clock);
  const users = Array.from({ length: 4 }, () => startGreedy(new RateLimit(512 * kib, clock, total)));
  for (let passed = 0; passed < 10_000; passed += 5) clock.advance(5);
  const sum = users.reduce((bytes, user) => bytes + user.bytes, 0);
  const due = 10 * mib + total.burstBytes;
  assert.ok(sum <= due && sum > due * 0.98, `${sum} of ${due}`);
  for (const { bytes } of users) assert.ok(bytes < (due / 4) * 1.1 && bytes > (due / 4) * 0.9, `${bytes} of ${sum}`);
  for (const { stop } of users.slice(1)) stop();
  const before = users[0]?.bytes ?? 0;
  for (let passed = 0; passed < 10_000; passed += 5) clock.advance(5);
  const alone = (users[0]?.bytes ?? 0) - before;
  assert.ok(Math.abs(alone - 5 * mib) < 100 * kib, `${alone}`);
  users[0]?.stop();
  assert.equal(clock.waiting, 0);
});

test('one who gives up waiting leaves its turn and its tokens to others, at either limit', () => {
  const clock = new FakeClock();
  const total = new RateLimit(100 * kib, clock);
  const own = new RateLimit(100 * kib, clock, total);
  total.grant(mib);
  const never = () => assert.fail('it gave up');
  own.wait(mib, never)();
  assert.equal(clock.waiting, 0);
  clock.advance(1000);
  assert.equal(own.grant(mib), own.burstBytes);
  own.wait(mib, never)();
  assert.equal(clock.waiting, 0);
});

test('waiting ends with the signal’s reason, and no timer is left', async () => {
  const clock = new FakeClock();
  const rate = new RateLimit(kib, clock);
  const controller = new AbortController();
  assert.equal(await rate.allow(100, controller.signal), 100);
  rate.grant(mib);
  const waiting = rate.allow(2000, controller.signal);
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  assert.equal(clock.waiting, 0);
  await assert.rejects(rate.allow(1, controller.signal), reason);
});

for (const notRate of [0, -1, 1023, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`${notRate} bytes a second are no rate`, () => {
    assert.throws(() => new RateLimit(notRate, new FakeClock()), { code: 'USAGE_INVALID' });
  });
}
