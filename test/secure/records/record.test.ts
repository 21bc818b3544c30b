import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoplineError } from '../../../src/core/errors.ts';
import { type Aead, nodeAead } from '../../../src/secure/records/aead.ts';
import { chooseAead } from '../../../src/secure/records/openssl.ts';
import {
  decodeRecordHeader,
  encodeRecordHeader,
  maxClientContent,
  maxNodeContent,
  RecordOpener,
  RecordSealer,
  recordHeaderBytes,
  recordKinds,
} from '../../../src/secure/records/record.ts';

const key = randomBytes(32);
const tag = 16;
const ways: readonly (readonly [Aead, Aead])[] = [
  [nodeAead, chooseAead()],
  [chooseAead(), nodeAead],
];

interface Settings {
  readonly key?: Buffer;
  readonly maxContent?: number;
  readonly rekeyRecords?: number;
  readonly aead?: Aead;
}

function options(settings: Settings = {}) {
  // A direction zeroes its key when it is done with it.
  return { aead: nodeAead, maxContent: maxClientContent, ...settings, key: Buffer.from(settings.key ?? key) };
}

/** Records of `contents`, each a copy. */
function sealAll(contents: readonly Buffer[], settings: Settings = {}): Buffer[] {
  const sealer = new RecordSealer(options(settings));
  return contents.map((content) => Buffer.from(sealer.seal([content])));
}

/** What the records say, fed in steps of `step` bytes. */
function openAll(
  bytes: Buffer,
  settings: Settings = {},
  step = bytes.length || 1,
  opener = new RecordOpener(options(settings)),
) {
  const contents: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { used, content } = opener.take(bytes.subarray(at, at + step));
    assert.ok(used > 0);
    at += used;
    if (!content) continue;
    contents.push(Buffer.from(content.bytes));
    content.release();
  }
  return contents;
}

function fails(work: () => unknown): void {
  assert.throws(work, (error) => error instanceof HoplineError && error.code === 'SECURE_FAILED');
}

const contents = [Buffer.from('a'), randomBytes(15), randomBytes(16), randomBytes(17), randomBytes(maxClientContent)];

for (const [sealing, opening] of ways) {
  test(`records that ${sealing.name} sealed are opened by ${opening.name}, however their bytes come`, () => {
    const bytes = Buffer.concat(sealAll(contents, { aead: sealing }));
    for (const step of [1, 7, 8, 9, 1000, bytes.length]) {
      assert.deepEqual(openAll(bytes, { aead: opening }, step), contents);
    }
  });

  test(`the largest record of a node passes from ${sealing.name} to ${opening.name}`, () => {
    const content = randomBytes(maxNodeContent);
    const bytes = Buffer.concat(
      sealAll([content, Buffer.from('behind')], { aead: sealing, maxContent: maxNodeContent }),
    );
    const opened = openAll(bytes, { aead: opening, maxContent: maxNodeContent }, 100_000);
    assert.ok(opened[0]?.equals(content));
    assert.equal(String(opened[1]), 'behind');
  });
}

test('a record of several parts says them as one, and one without any is the end', () => {
  const sealer = new RecordSealer(options());
  const record = Buffer.from(sealer.seal([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cd')]));
  const end = Buffer.from(sealer.seal([]));
  assert.deepEqual(openAll(Buffer.concat([record, end])).map(String), ['abcd', '']);
  assert.equal(end.length, recordHeaderBytes + tag);
});

test('records that are sealed together are those that are sealed one by one', () => {
  const [together, single] = [new RecordSealer(options()), new RecordSealer(options())];
  const records = [[Buffer.from('ab'), Buffer.from('c')], [randomBytes(maxClientContent)], [Buffer.from('d')], []];
  const one = records.map((parts) => Buffer.from(single.seal(parts)));
  assert.ok(together.seal(...records).equals(Buffer.concat(one)));
  assert.throws(() => together.seal([Buffer.from('a')], [Buffer.alloc(maxClientContent + 1)]), { code: 'INTERNAL' });
});

test('no record can be changed in any byte, left out, repeated, swapped, cut or taken from elsewhere', () => {
  const records = sealAll([Buffer.from('one'), Buffer.from('two'), Buffer.from('three'), Buffer.alloc(0)]);
  const [one, two, three, end] = records as [Buffer, Buffer, Buffer, Buffer];
  const other = sealAll([Buffer.from('one'), Buffer.from('two')], { key: randomBytes(32) }) as [Buffer, Buffer];
  const altered: readonly (readonly [string, readonly Buffer[]])[] = [
    ['left out', [two]],
    ['left out in between', [one, three]],
    ['repeated', [one, one]],
    ['swapped', [two, one]],
    ['of another circuit', [one, other[1]]],
    ['the end too early', [one, end]],
    ['a forged end', [one, Buffer.concat([end.subarray(0, recordHeaderBytes), Buffer.alloc(tag)])]],
    ['cut, with the next one behind', [one.subarray(0, -1), two]],
  ];
  for (const [how, sent] of altered) {
    const opened: Buffer[] = [];
    const opener = new RecordOpener(options());
    fails(() => {
      for (const record of sent) opened.push(...openAll(record, {}, record.length, opener));
    });
    assert.ok(opened.length <= 1 && opened.every((content) => String(content) === 'one'), how);
    fails(() => opener.take(two));
  }
  for (let at = 0; at < one.length; at += 1) {
    const changed = Buffer.from(one);
    changed[at] = (changed[at] as number) ^ 0x10;
    // A length that is larger waits for more, which the next record brings.
    fails(() => openAll(Buffer.concat([changed, ...Array<Buffer>(2000).fill(two)])));
  }
});

test('a length out of range, another kind and bytes that must be zero are refused at the header alone', () => {
  const header = (changes: Partial<{ kind: number; pattern: number; length: number }>) =>
    encodeRecordHeader({ kind: recordKinds.data, pattern: 0, length: 100, ...changes });
  const reserved = header({});
  reserved[3] = 1;
  const bad = [
    ...[0, 1, 15, maxClientContent + tag + 1, 2 ** 31, 2 ** 32 - 1].map((length) => header({ length })),
    ...[0, 1, 2, 4, 255].map((kind) => header({ kind })),
    header({ pattern: 1 }),
    reserved,
    Buffer.from('ff484c0100000000', 'hex'),
  ];
  for (const bytes of bad) fails(() => new RecordOpener(options()).take(bytes));
  for (const length of [16, 17, maxClientContent + tag]) {
    assert.deepEqual(new RecordOpener(options()).take(header({ length })), { used: recordHeaderBytes });
  }
});

test('no header makes an opener do anything but wait or fail, and none takes more memory than a record has', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 40 }), fc.boolean(), (bytes, isAlmost) => {
      const input = Buffer.from(bytes);
      if (isAlmost) Buffer.from([0xfe, 3, 0, 0]).copy(input);
      const opener = new RecordOpener(options());
      const before = process.memoryUsage().arrayBuffers;
      try {
        opener.take(input);
      } catch (error) {
        assert.ok(error instanceof HoplineError && error.code === 'SECURE_FAILED');
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 4 * maxClientContent);
    }),
    { numRuns: 2000 },
  );
});

test('memory of a record that failed holds nothing of it', () => {
  const [record] = sealAll([Buffer.alloc(100, 'secret')]) as [Buffer];
  record[50] = (record[50] as number) ^ 1;
  let box: Buffer | undefined;
  const watching: Aead = {
    ...nodeAead,
    newOpener: () => {
      const opener = nodeAead.newOpener();
      return {
        ...opener,
        begin: (...parameters) => {
          box = parameters[3];
          opener.begin(...parameters);
        },
      };
    },
  };
  fails(() => openAll(record, { aead: watching }));
  assert.ok(box?.every((byte) => byte === 0));
});

test('memory of a record of which a part came holds nothing of it once the circuit is over', () => {
  for (const aead of [nodeAead, chooseAead()]) {
    const [record] = sealAll([Buffer.alloc(100, 'secret')]) as [Buffer];
    let box: Buffer | undefined;
    const opener = aead.newOpener();
    const watching: Aead = {
      ...aead,
      newOpener: () => ({
        ...opener,
        begin: (...parameters) => {
          box = parameters[3];
          opener.begin(...parameters);
        },
      }),
    };
    const records = new RecordOpener(options({ aead: watching }));
    records.take(record.subarray(0, 60));
    assert.ok(box?.some((byte) => byte !== 0));
    records.forget();
    assert.ok(box?.every((byte) => byte === 0));
  }
});

test('what was received in the place of a record, and not opened yet, moves along when that is left', () => {
  const content = randomBytes(maxNodeContent);
  for (const aead of [nodeAead, chooseAead()]) {
    const some = { aead, maxContent: maxNodeContent };
    const [record] = sealAll([content], some) as [Buffer];
    const opener = new RecordOpener(options(some));
    const receive = (at: number, bytes: number) => record.copy(opener.room, 0, at, at + bytes);
    const memory = Buffer.alloc(content.length);
    opener.take(record.subarray(0, recordHeaderBytes));
    assert.equal(opener.room.length, 0);
    opener.place(memory);
    opener.take(opener.room.subarray(0, receive(recordHeaderBytes, 100)));
    assert.ok(memory.subarray(0, 100).equals(content.subarray(0, 100)));
    const received = receive(recordHeaderBytes + 100, 5000);
    opener.keep();
    assert.ok(memory.every((byte) => byte === 0));
    opener.take(opener.room.subarray(0, received));
    opener.take(opener.room.subarray(0, receive(recordHeaderBytes + 5100, content.length - 5100)));
    assert.equal(opener.room.length, 0);
    const opened = opener.take(record.subarray(-tag)).content;
    assert.ok(opened?.bytes.equals(content));
    assert.ok(memory.every((byte) => byte === 0));
  }
});

test('a record that is broken off has no place to receive into', () => {
  const some = { maxContent: maxNodeContent };
  const [record] = sealAll([randomBytes(maxNodeContent)], some) as [Buffer];
  const opener = new RecordOpener(options(some));
  opener.take(record.subarray(0, recordHeaderBytes));
  opener.place(Buffer.alloc(maxNodeContent));
  assert.equal(opener.room.length, maxNodeContent);
  opener.forget();
  assert.equal(opener.room.length, 0);
});

test('memory is used again once its chunk was released, and not before', () => {
  const records = sealAll([Buffer.from('first'), Buffer.from('other'), Buffer.from('third')]) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const opener = new RecordOpener(options());
  const first = opener.take(records[0]).content;
  const second = opener.take(records[1]).content;
  assert.ok(first && second);
  assert.equal(String(first.bytes), 'first');
  assert.notEqual(first.bytes.buffer, second.bytes.buffer);
  const { buffer } = first.bytes;
  first.release();
  assert.equal(opener.take(records[2]).content?.bytes.buffer, buffer);
  assert.equal(String(second.bytes), 'other');
});

test('keys change at multiples of the number of records, at both ends, and are those of REKEY', () => {
  const rekeyRecords = 5;
  const small = Array.from({ length: 12 }, (_, index) => Buffer.from([index]));
  const records = sealAll(small, { rekeyRecords });
  assert.deepEqual(openAll(Buffer.concat(records), { rekeyRecords }), small);
  let current: Buffer = key;
  for (const [index, record] of records.entries()) {
    if (index > 0 && index % rekeyRecords === 0) current = rekeyed(current);
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(index, 8);
    const cipher = createCipheriv('aes-256-gcm', current, nonce).setAAD(record.subarray(0, 8));
    const box = Buffer.concat([cipher.update(small[index] as Buffer), cipher.final(), cipher.getAuthTag()]);
    assert.deepEqual(record.subarray(8), box, `record ${index}`);
  }
  fails(() => openAll(Buffer.concat(records), { rekeyRecords: 6 }));
});

test('the largest records are as good before a change of the key and behind it', () => {
  const some = { rekeyRecords: 2, maxContent: maxNodeContent };
  const large = Array.from({ length: 4 }, () => randomBytes(maxNodeContent));
  const opened = openAll(Buffer.concat(sealAll(large, some)), some);
  assert.ok(large.every((content, index) => opened[index]?.equals(content)));
});

/** Noise, section 4.2: the first 32 bytes of 32 zeros, sealed under the last nonce of all. */
function rekeyed(old: Buffer) {
  const nonce = Buffer.concat([Buffer.alloc(4), Buffer.alloc(8, 0xff)]);
  return createCipheriv('aes-256-gcm', old, nonce).update(Buffer.alloc(32));
}

test('a direction goes on over the changes of its key at 65,536 and 131,072 records', () => {
  const aead = chooseAead();
  const sealer = new RecordSealer(options({ aead }));
  const opener = new RecordOpener(options({ aead }));
  const content = Buffer.from('x');
  for (let index = 0; index <= 131_073; index += 1) {
    const opened = opener.take(sealer.seal([content])).content;
    assert.equal(opened?.bytes[0], content[0]);
    opened?.release();
  }
});

test('a header is decoded as it was encoded, and nothing else is one', () => {
  const header = { kind: 1, pattern: 1, length: 65_535 };
  assert.deepEqual(encodeRecordHeader(header), Buffer.from('fe0101000000ffff', 'hex'));
  assert.deepEqual(decodeRecordHeader(encodeRecordHeader(header)), header);
  assert.equal(decodeRecordHeader(Buffer.from('fe0101010000ffff', 'hex')), undefined);
  assert.equal(decodeRecordHeader(Buffer.from('fd0101000000ffff', 'hex')), undefined);
  assert.equal(decodeRecordHeader(Buffer.from('fe010100', 'hex')), undefined);
});
