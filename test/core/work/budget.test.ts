import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Budget, ownerOf } from '../../../src/core/work/budget.ts';

const open = () =>
  new Budget({
    code: 'LIMIT_UPLOADS',
    what: 'uploads',
    perOwner: { most: 2, name: 'maxPeerUploads' },
    inAll: { most: 3, name: 'maxUploads' },
  });

test('refuses what is over the share of one owner, and names the limit', () => {
  const budget = open();
  budget.take('a');
  budget.take('a');
  assert.throws(() => budget.take('a'), {
    code: 'LIMIT_UPLOADS',
    reason: 'maxPeerUploads',
    message: 'at most 2 uploads for one peer (maxPeerUploads)',
  });
  assert.ok(budget.has('b'));
});

test('refuses what is over the share of all', () => {
  const budget = open();
  budget.take('a', 2);
  budget.take('b');
  assert.throws(() => budget.take('c'), { reason: 'maxUploads', message: 'at most 3 uploads in all (maxUploads)' });
});

test('a share that is given back twice counts once', () => {
  const budget = open();
  const giveBack = budget.take('a');
  budget.take('a');
  giveBack();
  giveBack();
  assert.equal(budget.heldBy('a'), 1);
  assert.equal(budget.total, 1);
});

test('holds the sum of what was taken and not given back, whatever the order', () => {
  const step = fc.record({
    owner: fc.constantFrom('a', 'b', 'c'),
    amount: fc.integer({ min: 1, max: 2 }),
    back: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const budget = open();
      const taken: { owner: string; amount: number; giveBack: () => void }[] = [];
      for (const { owner, amount, back } of steps) {
        if (budget.has(owner, amount)) taken.push({ owner, amount, giveBack: budget.take(owner, amount) });
        else if (taken.length > 0) taken.splice(back % taken.length, 1)[0]?.giveBack();
        const sum = (of: typeof taken) => of.reduce((total, share) => total + share.amount, 0);
        assert.equal(budget.total, sum(taken));
        assert.ok(budget.total <= 3);
        for (const name of ['a', 'b', 'c']) {
          assert.equal(budget.heldBy(name), sum(taken.filter((share) => share.owner === name)));
          assert.ok(budget.heldBy(name) <= 2);
        }
      }
    }),
  );
});

test('an IPv6 host stands for its network of 64 bits, and a mapped IPv4 address for itself', () => {
  const cases: [address: string, owner: string][] = [
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:1::1%eth0', '2001:db8:0:1::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8::192.0.2.1', '2001:db8:0:0::/64'],
    ['unknown', 'unknown'],
  ];
  for (const [address, owner] of cases) assert.equal(ownerOf(address), owner);
});
