/** The second implementation reads the recorded exchanges of encrypted circuits, and makes each of their bytes. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { repository } from '../../support/repository.ts';
import { publicOf, SpecHandshake, type SpecPattern } from './spec-noise.ts';
import { SpecDirection, specHeader, specKeyBytes, specKeyText, specMessage, specMessages } from './spec-wire.ts';

const read = async (page: string) =>
  (await readFile(new URL(`docs/protocol/${page}`, repository), 'utf8')).split(/^## /m);
const [common = '', ...withOwnKey] = await read('encrypted-ik.md');
const [, ...withoutOwnKey] = await read('encrypted-nk.md');
const examples = [...withOwnKey, ...withoutOwnKey];

/** The bytes of the dumps of a section, in their order. */
function dumpsOf(section: string): Buffer[] {
  return [...section.matchAll(/^```\n((?:[0-9a-f]{4} {2}.*\n)+)```$/gm)].map(([, rows = '']) => {
    const hex = rows
      .trimEnd()
      .split('\n')
      .map((row) => row.slice(6, 53).replaceAll(' ', ''));
    return Buffer.from(hex.join(''), 'hex');
  });
}

/** Whatever of 32 bytes stands in rows of tables with that name. */
function rowOf(section: string, name: string): Buffer[] {
  const rows = section.match(new RegExp(`^\\| ${name} +\\|.*$`, 'gm')) ?? assert.fail(name);
  return [...rows.join().matchAll(/`([0-9a-f]{64})`/g)].map(([, hex = '']) => Buffer.from(hex, 'hex'));
}

function keyOf(name: string): { secret: Buffer; public: Buffer } {
  const [secret, known] = rowOf(common, name);
  assert.ok(secret && known);
  assert.deepEqual(publicOf(secret), known, name);
  return { secret, public: known };
}

const client = keyOf('client');
const node = keyOf('node');
const ephemeral = { client: keyOf('client, ephemeral'), node: keyOf('node, ephemeral') };

test('the keys have the texts that they have', () => {
  const texts = [...common.matchAll(/`(hop[\w-]+)`/gi)].map(([, text = '']) => text);
  const secretText = (key: Buffer) => specKeyText('hop-secret-key-', key).toUpperCase();
  const hopText = (key: Buffer) => specKeyText('hop', key);
  assert.deepEqual(texts.slice(0, 4), [
    secretText(client.secret),
    hopText(client.public),
    secretText(node.secret),
    hopText(node.public),
  ]);
  assert.deepEqual(texts.slice(0, 4).map(specKeyBytes), [client.secret, client.public, node.secret, node.public]);
});

test('there is an example of each pattern', () => {
  assert.deepEqual(
    examples.map((text) => text.slice(0, 2)),
    ['IK', 'NK'],
  );
});

for (const section of examples) {
  const pattern = section.slice(0, 2) as SpecPattern;

  test(`${pattern}: each record opens to what it is said to carry, and is sealed to the same bytes`, () => {
    const [open] = dumpsOf(common);
    const { trace } = specMessage(open ?? assert.fail('no OPEN'));
    const dumps = dumpsOf(section);
    const next = () => dumps.shift() ?? assert.fail('no dump is left');
    const [prologue, payload, first, welcome, answer] = [next(), next(), next(), next(), next()];
    const header = first.subarray(0, 8);
    assert.deepEqual(header, specHeader(1, pattern, first.length - 8));
    assert.equal(
      prologue.toString('hex'),
      `${Buffer.from('hopline secure 1').toString('hex')}${trace}${header.toString('hex')}`,
    );

    const own = pattern === 'IK' ? { own: client.secret } : {};
    const asClient = new SpecHandshake(pattern, prologue, true, {
      ephemeral: ephemeral.client.secret,
      node: node.public,
      ...own,
    });
    const asNode = new SpecHandshake(pattern, prologue, false, {
      ephemeral: ephemeral.node.secret,
      own: node.secret,
    });
    assert.deepEqual(asClient.write(payload), first.subarray(8));
    assert.deepEqual(asNode.read(first.subarray(8)), payload);
    assert.deepEqual(asNode.theirs.static, pattern === 'IK' ? client.public : undefined);
    assert.equal(payload.length % 256, 0);
    assert.deepEqual(types(payload), ['hello', 'stat', 'read']);
    assert.deepEqual(answer.subarray(0, 8), specHeader(2, undefined, answer.length - 8));
    assert.deepEqual(asNode.write(welcome), answer.subarray(8));
    assert.deepEqual(asClient.read(answer.subarray(8)), welcome);
    assert.deepEqual(types(welcome), ['welcome']);

    const [forwardKey, backKey] = asClient.split();
    const [toldForward, toldNext] = rowOf(section, 'forward');
    assert.deepEqual([toldForward, rowOf(section, 'back')[0]], [forwardKey, backKey]);
    const pass = (content: Buffer, record: Buffer, sealing: SpecDirection, opening: SpecDirection) => {
      assert.deepEqual(sealing.seal(content), record);
      assert.deepEqual(opening.open(record), content);
    };
    const [forward, forwardOpened] = [new SpecDirection(forwardKey), new SpecDirection(forwardKey)];
    const [back, backOpened] = [new SpecDirection(backKey), new SpecDirection(backKey)];
    const nothing = Buffer.alloc(0);
    pass(nothing, next(), forward, forwardOpened);
    const answers = next();
    pass(answers, next(), back, backOpened);
    const ping = next();
    assert.deepEqual(types(ping), ['ping']);
    pass(ping, next(), forward, forwardOpened);
    if (pattern === 'IK') {
      for (let number = 2; number < 65_535; number += 1) forwardOpened.open(forward.seal(ping));
      pass(ping, next(), forward, forwardOpened);
      pass(ping, next(), forward, forwardOpened);
      assert.deepEqual(forward.key, toldNext);
    }
    pass(nothing, next(), forward, forwardOpened);
    pass(nothing, next(), back, backOpened);
    assert.equal(dumps.length, 0);
  });
}

function types(frames: Buffer): string[] {
  return specMessages(frames).map(({ type }) => type);
}
