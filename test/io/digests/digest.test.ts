import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableDigests, chooseDigest } from '../../../src/io/digests/digest.ts';

const ofAbc = {
  blake3: '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
  sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
};

for (const { name, start, digestOf } of availableDigests()) {
  test(`${name} of "abc" is the published one, however the bytes are cut`, () => {
    const whole = start();
    whole.update(Buffer.from('abc'));
    const parts = start();
    for (const byte of ['a', 'b', '', 'c']) parts.update(Buffer.from(byte));
    const once = digestOf(Buffer.from('abc')).toString('hex');
    assert.deepEqual([whole.digest(), parts.digest(), once], [ofAbc[name], ofAbc[name], ofAbc[name]]);
  });
}

test('SHA-256 is there on every machine', () => {
  assert.equal(availableDigests().at(-1)?.name, 'sha256');
});

test('the peer’s order decides, unknown names are passed over, and none in common is undefined', () => {
  const ours = availableDigests();
  assert.equal(chooseDigest(ours, ['md5', 'sha256', 'blake3'])?.name, 'sha256');
  assert.equal(chooseDigest(ours, [ours[0]?.name ?? '', 'sha256'])?.name, ours[0]?.name);
  assert.equal(chooseDigest(ours, ['md5', '__proto__']), undefined);
  assert.equal(chooseDigest(ours, []), undefined);
});
