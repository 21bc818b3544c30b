/** What sealing and opening promise, whoever does it; run by aead.test.ts for each way there is. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { type Aead, openBox, tagBytes } from '../../../src/secure/records/aead.ts';

const key = randomBytes(32);
const header = randomBytes(8);
const lengths = [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 1_114_112];

export function sealed(aead: Aead, content: Buffer, counter = 3n, parts: readonly Buffer[] = [content]): Buffer {
  const box = Buffer.alloc(content.length + tagBytes, 0xaa);
  aead.seal(key, counter, header, parts, box);
  return box;
}

function failsSecurely(error: unknown): boolean {
  return error instanceof HoplineError && error.code === 'SECURE_FAILED';
}

function startOpening(aead: Aead, box: Buffer, counter: number) {
  const opener = aead.newOpener();
  const content = Buffer.alloc(box.length - tagBytes, 0xaa);
  opener.begin(key, BigInt(counter), header, content);
  const feed = (from: number, to: number) => opener.update(box.subarray(0, -tagBytes).subarray(from, to));
  const finish = () => {
    assert.ok(opener.finish(box.subarray(-tagBytes)));
    opener.close();
    return content;
  };
  return { feed, finish };
}

/** Each test seals by `aead` and compares with `other`, which may be the same. */
export function testAead(aead: Aead, other: Aead): void {
  const name = `${aead.name}, beside ${other.name}:`;

  test(`${name} cases 13 and 14 of the paper on GCM come out`, () => {
    const zeros = Buffer.alloc(32);
    for (const [length, expected] of [
      [0, '530f8afbc74536b9a963b4f1c4cb738b'],
      [16, 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919'],
    ] as const) {
      const box = Buffer.alloc(length + tagBytes);
      aead.seal(zeros, 0n, Buffer.alloc(0), [Buffer.alloc(length)], box);
      assert.equal(box.toString('hex'), expected);
    }
  });

  test(`${name} both make the same bytes of any length, and open what the other sealed`, () => {
    for (const length of lengths) {
      const content = randomBytes(length);
      const [mine, others] = [sealed(aead, content), sealed(other, content)];
      assert.ok(mine.equals(others), `${length} bytes`);
      assert.ok(openBox(aead, key, 3n, header, others));
      assert.ok(openBox(other, key, 3n, header, mine));
      assert.ok(mine.subarray(0, -tagBytes).equals(content));
      assert.ok(others.subarray(0, -tagBytes).equals(content));
    }
  });

  test(`${name} parts are sealed as one, wherever they are cut`, () => {
    const content = randomBytes(200_000);
    const whole = sealed(other, content);
    for (const cuts of [[0], [1, 2, 3], [16, 16, 32], [65_535, 65_537, 131_073], [200_000]]) {
      const parts = [0, ...cuts].map((from, index) => content.subarray(from, cuts[index] ?? content.length));
      assert.ok(sealed(aead, content, 3n, parts).equals(whole), String(cuts));
    }
  });

  test(`${name} the largest counter is as good as any other`, () => {
    const last = 2n ** 64n - 1n;
    const box = sealed(aead, header, last);
    assert.ok(!box.equals(sealed(aead, header, 0n)));
    assert.ok(openBox(other, key, last, header, box));
  });

  test(`${name} what was changed in any byte does not open, and is zeroed`, () => {
    const content = randomBytes(40);
    for (let at = 0; at < content.length + tagBytes; at += 1) {
      const box = sealed(aead, content);
      box[at] = (box[at] as number) ^ (1 << (at % 8));
      assert.equal(openBox(aead, key, 3n, header, box), false);
      assert.ok(
        box.every((byte) => byte === 0),
        `byte ${at}`,
      );
    }
  });

  test(`${name} another counter, header or key does not open it`, () => {
    const otherHeader = Buffer.from(header);
    otherHeader[7] = (otherHeader[7] as number) ^ 1;
    for (const length of [0, 1, 100_000]) {
      const tries = [
        [key, 2n, header],
        [key, 3n, otherHeader],
        [key, 3n, header.subarray(1)],
        [randomBytes(32), 3n, header],
      ] as const;
      for (const [by, counter, head] of tries) {
        const box = sealed(aead, randomBytes(length));
        assert.equal(openBox(aead, by, counter, head, box), false);
        assert.ok(box.every((byte) => byte === 0));
      }
    }
    // None of that is left behind for the next one.
    assert.ok(openBox(aead, key, 3n, header, sealed(aead, header)));
  });

  test(`${name} memory that does not fit is refused, and stays as it is`, () => {
    const part = randomBytes(100);
    for (const length of [0, 15, 16, 99, 115, 117, 4096]) {
      const box = Buffer.alloc(length, 0x55);
      assert.throws(() => aead.seal(key, 0n, header, [part], box), failsSecurely);
      assert.ok(box.every((byte) => byte === 0x55));
    }
    for (const length of [0, 1, 15])
      assert.throws(() => openBox(aead, key, 0n, header, Buffer.alloc(length)), failsSecurely);
    for (const length of [0, 16, 31, 33]) {
      assert.throws(() => aead.seal(Buffer.alloc(length), 0n, header, [part], Buffer.alloc(116)), failsSecurely);
      assert.throws(() => openBox(aead, Buffer.alloc(length), 0n, header, Buffer.alloc(116)), failsSecurely);
    }
  });

  test(`${name} sealing and opening take turns without a trace of each other`, () => {
    const content = randomBytes(1000);
    const first = sealed(aead, content, 1n);
    const second = sealed(aead, content, 2n);
    assert.equal(openBox(aead, key, 9n, header, Buffer.from(first)), false);
    assert.ok(sealed(aead, content, 2n).equals(second));
    assert.ok(openBox(aead, key, 1n, header, first));
  });

  test(`${name} a box opens in parts, wherever they are cut, and each opener for itself`, () => {
    const contents = [randomBytes(20_000), randomBytes(20_000)] as const;
    for (const step of [1, 15, 16, 17, 4099, 20_000]) {
      const [one, two] = contents.map((content, index) =>
        startOpening(aead, sealed(other, content, BigInt(index)), index),
      );
      for (let at = 0; at < 20_000; at += step) {
        one?.feed(at, at + step);
        two?.feed(at, at + step);
      }
      assert.ok(two?.finish().equals(contents[1]), `${step} at a time`);
      assert.ok(one?.finish().equals(contents[0]), `${step} at a time`);
    }
  });

  test(`${name} a box sealed in its place, wherever it is cut, and each sealer for itself, is the one that is sealed as a whole`, () => {
    const contents = [randomBytes(200_000), randomBytes(200_000)] as const;
    const [one, two] = [aead.newSealer(), aead.newSealer()];
    for (const step of [1000, 16, 4099, 65_537, 200_000]) {
      const boxes = contents.map((content) => Buffer.concat([content, Buffer.alloc(tagBytes)])) as [Buffer, Buffer];
      one.begin(key, 1n, header);
      two.begin(key, 2n, header);
      for (let at = 0; at < 200_000; at += step) {
        for (const [sealer, box] of [
          [one, boxes[0]],
          [two, boxes[1]],
        ] as const) {
          const part = box.subarray(at, Math.min(at + step, 200_000));
          sealer.update(part, part);
        }
      }
      two.finish(boxes[1].subarray(200_000));
      one.finish(boxes[0].subarray(200_000));
      assert.ok(boxes[0].equals(sealed(other, contents[0], 1n)), `${step} at a time`);
      assert.ok(boxes[1].equals(sealed(other, contents[1], 2n)), `${step} at a time`);
    }
  });

  test(`${name} what no box was begun for is not sealed, and is zeroed, as is a tag that would be cut`, () => {
    const sealer = aead.newSealer();
    const refuses = (memory: Buffer, work: () => void) => {
      assert.throws(work, failsSecurely);
      assert.ok(memory.every((byte) => byte === 0));
    };
    const content = () => Buffer.alloc(100, 0xaa);
    const update = (by = sealer, memory = content(), from = memory) => refuses(memory, () => by.update(from, memory));
    const finish = (by = sealer, memory = Buffer.alloc(16, 0xaa)) => refuses(memory, () => by.finish(memory));
    update();
    finish();
    assert.throws(() => sealer.begin(randomBytes(31), 1n, header), failsSecurely);
    update();
    sealer.begin(key, 1n, header);
    update(sealer, content(), Buffer.alloc(99));
    for (const length of [0, 15, 17]) {
      sealer.begin(key, 1n, header);
      finish(sealer, Buffer.alloc(length, 0xaa));
    }
    sealer.begin(key, 1n, header);
    sealer.finish(Buffer.alloc(16));
    update();
    finish();
    sealer.begin(key, 1n, header);
    sealer.close();
    update();
    assert.throws(() => sealer.begin(key, 1n, header), failsSecurely);
    sealer.close();
    finish();
  });

  test(`${name} a box that is not whole, or longer than its memory, does not open, and is zeroed, as is memory that it left`, () => {
    const content = randomBytes(100);
    const box = sealed(other, content);
    const tag = box.subarray(-tagBytes);
    const opener = aead.newOpener();
    const begin = () => {
      const to = Buffer.alloc(100, 0xaa);
      opener.begin(key, 3n, header, to);
      return to;
    };
    const isZeroed = (to: Buffer) => assert.ok(to.every((byte) => byte === 0));
    const short = begin();
    opener.update(box.subarray(0, 99));
    assert.equal(opener.finish(tag), false);
    isZeroed(short);
    const long = begin();
    opener.update(box.subarray(0, 99));
    assert.throws(() => opener.update(box.subarray(99, 101)), failsSecurely);
    isZeroed(long);
    assert.throws(() => opener.update(box.subarray(99, 100)), failsSecurely);
    for (const length of [0, 15, 17]) {
      const to = begin();
      opener.update(box.subarray(0, 100));
      assert.equal(opener.finish(Buffer.concat([tag, tag]).subarray(0, length)), false);
      isZeroed(to);
    }
    const [from, wrong, moved] = [begin(), Buffer.alloc(99), Buffer.alloc(100, 0x55)];
    opener.update(box.subarray(0, 60));
    assert.throws(() => opener.moveTo(wrong), failsSecurely);
    opener.moveTo(moved);
    isZeroed(from);
    opener.update(box.subarray(60, 100));
    assert.ok(opener.finish(tag));
    isZeroed(from);
    assert.ok(moved.equals(content));
    assert.throws(() => opener.moveTo(from), failsSecurely);
    const left = begin();
    opener.update(box.subarray(0, 50));
    opener.close();
    isZeroed(left);
    assert.throws(() => opener.update(box.subarray(50, 100)), failsSecurely);
    assert.throws(() => opener.begin(key, 3n, header, left), failsSecurely);
    opener.close();
  });
}
