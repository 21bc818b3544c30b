import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { Handshake, type Pattern } from '../../../src/secure/handshake/noise.ts';
import { nodeAead, tagBytes } from '../../../src/secure/records/aead.ts';
import { type KeyPair, keyOfBytes, newKey } from '../../../src/wire/keys/key.ts';
import { loadNoiseC, type NoiseHandshake } from './noise-c.ts';
import { type NoiseVector, noiseVectors } from './noise-vectors.ts';

const empty = Buffer.alloc(0);
const hex = (text: string) => Buffer.from(text, 'hex');
const patterns: readonly Pattern[] = ['IK', 'NK'];

/** A whole file of examples, as cacophony and others publish them: more than the few that stand here. */
const file = process.env.HOPLINE_NOISE_VECTORS;
const vectors = file === undefined ? noiseVectors : (JSON.parse(readFileSync(file, 'utf8')).vectors as NoiseVector[]);

for (const vector of vectors) {
  const pattern = /^Noise_(IK|NK)_25519_AESGCM_SHA256$/.exec(vector.protocol_name)?.[1] as Pattern | undefined;
  if (pattern)
    test(`the published example of ${vector.protocol_name} comes out, message by message`, () => play(pattern, vector));
}

function play(pattern: Pattern, vector: NoiseVector): void {
  const key = (text: string) => keyOfBytes(hex(text));
  const responder = key(vector.resp_static);
  assert.equal(responder.public.bytes.toString('hex'), vector.init_remote_static);
  const own = vector.init_static === undefined ? undefined : key(vector.init_static);
  const a = Handshake.initiator({
    pattern,
    prologue: hex(vector.init_prologue),
    own,
    remote: responder.public,
    ephemeral: key(vector.init_ephemeral),
  });
  const b = Handshake.responder({
    pattern,
    prologue: hex(vector.resp_prologue),
    own: responder,
    ephemeral: key(vector.resp_ephemeral),
  });
  const [first, second, ...rest] = vector.messages;
  assert.ok(first && second);
  assert.equal(a.write(hex(first.payload)).toString('hex'), first.ciphertext);
  assert.equal(b.read(hex(first.ciphertext)).toString('hex'), first.payload);
  assert.equal(b.write(hex(second.payload)).toString('hex'), second.ciphertext);
  assert.equal(a.read(hex(second.ciphertext)).toString('hex'), second.payload);
  const [atA, atB] = [a.split(), b.split()];
  assert.equal(atA.hash.toString('hex'), vector.handshake_hash);
  assert.deepEqual([atA.send, atA.receive, atA.hash], [atB.receive, atB.send, atB.hash]);
  assert.deepEqual(b.remote?.bytes, own?.public.bytes);
  for (const [index, { payload, ciphertext }] of rest.entries()) {
    const by = index % 2 === 0 ? atA.send : atB.send;
    assert.equal(seal(by, BigInt(index >> 1), hex(payload)).toString('hex'), ciphertext, `message ${index + 2}`);
  }
}

function seal(key: Buffer, counter: bigint, content: Buffer, ad = empty): Buffer {
  const box = Buffer.alloc(content.length + tagBytes);
  nodeAead.seal(key, counter, ad, [content], box);
  return box;
}

interface Ends {
  readonly client: KeyPair;
  readonly node: KeyPair;
  readonly a: Handshake;
  readonly b: Handshake;
}

const prologue = Buffer.from('hopline');

function makeEnds(pattern: Pattern, prologues: readonly [Buffer, Buffer] = [prologue, prologue]): Ends {
  const [client, node] = [newKey().key, newKey().key];
  const own = pattern === 'IK' ? client : undefined;
  const a = Handshake.initiator({ pattern, prologue: prologues[0], own, remote: node.public });
  const b = Handshake.responder({ pattern, prologue: prologues[1], own: node });
  return { client, node, a, b };
}

function refuses(work: () => unknown, message = /handshake/): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'SECURE_FAILED');
    assert.match(error.message, message);
    return true;
  });
}

const names = { IK: 'Noise_IK_25519_AESGCM_SHA256', NK: 'Noise_NK_25519_AESGCM_SHA256' };

for (const pattern of patterns) {
  const secretOf = (pair: KeyPair) => pair.secret.export({ format: 'der', type: 'pkcs8' }).subarray(16);

  test(`${pattern} with noise-c at the other end, whichever end that is`, async () => {
    const noise = await loadNoiseC();
    const { client, node, a, b } = makeEnds(pattern);
    const clientSecret = pattern === 'IK' ? secretOf(client) : null;

    const theirResponder = new noise.HandshakeState(names[pattern], noise.constants.NOISE_ROLE_RESPONDER);
    theirResponder.Initialize(prologue, secretOf(node), null);
    const asked = randomBytes(1000);
    assert.deepEqual(Buffer.from(theirResponder.ReadMessage(a.write(asked), true)), asked);
    if (pattern === 'IK') assert.deepEqual(Buffer.from(theirResponder.GetRemotePublicKey() ?? []), client.public.bytes);
    assert.deepEqual(a.read(Buffer.from(theirResponder.WriteMessage(asked))), asked);
    agree(a, theirResponder);

    const theirInitiator = new noise.HandshakeState(names[pattern], noise.constants.NOISE_ROLE_INITIATOR);
    theirInitiator.Initialize(prologue, clientSecret, node.public.bytes);
    assert.deepEqual(b.read(Buffer.from(theirInitiator.WriteMessage(asked))), asked);
    assert.deepEqual(b.remote?.bytes, pattern === 'IK' ? client.public.bytes : undefined);
    assert.deepEqual(Buffer.from(theirInitiator.ReadMessage(b.write(empty), true)), empty);
    agree(b, theirInitiator);
  });

  test(`${pattern}: a message that was changed in any byte, cut or prolonged is refused, and so is all that follows`, () => {
    const { a } = makeEnds(pattern);
    const message = a.write(Buffer.from('what was asked'));
    for (let at = 0; at < message.length; at += 1) {
      const changed = Buffer.from(message);
      changed[at] = (changed[at] as number) ^ 0x40;
      const { b } = makeEnds(pattern);
      refuses(() => b.read(changed));
      refuses(() => b.write(empty), /is over/);
      refuses(() => b.split(), /is not done/);
    }
    for (const length of [0, 1, 31, 32, 47, 48, message.length - 1]) {
      refuses(() => makeEnds(pattern).b.read(message.subarray(0, length)));
    }
    refuses(() => makeEnds(pattern).b.read(Buffer.concat([message, Buffer.alloc(1)])));
  });

  test(`${pattern}: an answer that was changed in any byte is refused`, () => {
    const { a, b } = makeEnds(pattern);
    b.read(a.write(empty));
    const answer = b.write(Buffer.from('welcome'));
    const changed = Buffer.from(answer);
    changed[40] = (changed[40] as number) ^ 1;
    refuses(() => a.read(changed));
    refuses(() => a.split(), /is not done/);
  });

  test(`${pattern}: another prologue, or another node, cannot read the first message`, () => {
    const { a, b } = makeEnds(pattern, [prologue, Buffer.from('hoplinf')]);
    refuses(() => b.read(a.write(empty)));
    refuses(() => makeEnds(pattern).b.read(makeEnds(pattern).a.write(empty)));
  });

  test(`${pattern}: a key of low order or a number that is none is refused before anything is made of it`, () => {
    const { a } = makeEnds(pattern);
    const message = a.write(empty);
    for (const bytes of [
      Buffer.alloc(32),
      Buffer.from([1, ...Buffer.alloc(31)]),
      Buffer.alloc(32, 0xff),
      hex('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
      hex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
    ]) {
      const { b } = makeEnds(pattern);
      refuses(() => b.read(Buffer.concat([bytes, message.subarray(32)])), /a key that is none/);
    }
  });

  test(`${pattern}: messages are taken in their turn alone`, () => {
    const { a, b } = makeEnds(pattern);
    refuses(() => a.split(), /is not done/);
    const message = a.write(empty);
    refuses(() => b.split(), /is not done/);
    b.read(message);
    a.read(b.write(empty));
    refuses(() => a.write(empty), /is over/);
    refuses(() => b.read(message), /is over/);
  });
}

test('a first message of IK is none of NK, and the other way round', () => {
  const ends = { IK: makeEnds('IK'), NK: makeEnds('NK') };
  refuses(() => Handshake.responder({ pattern: 'NK', prologue, own: ends.IK.node }).read(ends.IK.a.write(empty)));
  refuses(() => Handshake.responder({ pattern: 'IK', prologue, own: ends.NK.node }).read(ends.NK.a.write(empty)));
});

/** Both ends have the same keys: what one sealed, the other opens. */
function agree(ours: Handshake, theirs: NoiseHandshake): void {
  const hash = Buffer.from(theirs.GetHandshakeHash());
  const [theirSend, theirReceive] = theirs.Split();
  const keys = ours.split();
  assert.deepEqual(keys.hash, hash);
  const ad = Buffer.from('header');
  for (let counter = 0n; counter < 3n; counter += 1n) {
    const content = randomBytes(100);
    assert.deepEqual(Buffer.from(theirReceive.DecryptWithAd(ad, seal(keys.send, counter, content, ad))), content);
    assert.deepEqual(Buffer.from(theirSend.EncryptWithAd(ad, content)), seal(keys.receive, counter, content, ad));
  }
  theirSend.free();
  theirReceive.free();
}
