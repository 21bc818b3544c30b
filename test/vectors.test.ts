/** Every file in fixtures/wire, for this implementation as for any other: lines of what to expect, a blank line, hex. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { defaultLimits } from '../src/core/limits.ts';
import { decodeClassicRequest, decodeClassicSize } from '../src/wire/classic/classic-text.ts';
import type { Decoded } from '../src/wire/decoded.ts';
import { detectDialect } from '../src/wire/dialect.ts';
import { decodeAnswer, decodeRequest } from '../src/wire/native/messages.ts';
import { decodeOpen } from '../src/wire/native/open-message.ts';
import { createPacketDecoder } from '../src/wire/packet/packet.ts';
import { repository } from './support/repository.ts';

const { maxHeaderBytes, maxClassicBytes, maxPayloadBytes } = defaultLimits;
const folder = new URL('fixtures/wire/', repository);

const decoders: Record<string, (bytes: Buffer) => Decoded<unknown>> = {
  open: (bytes) => {
    const decoded = decodeOpen(bytes, maxHeaderBytes);
    if (decoded.kind !== 'ok') return decoded;
    const { header: _header, ...value } = decoded.value;
    return { ...decoded, value };
  },
  request: (bytes) => decodeRequest(bytes, maxHeaderBytes),
  answer: (bytes) => decodeAnswer(bytes, maxHeaderBytes),
  'classic-request': (bytes) => {
    const decoded = decodeClassicRequest(bytes, maxClassicBytes);
    if (decoded.kind !== 'ok') return decoded;
    const { name, hops } = decoded.value;
    return { ...decoded, value: { name, hops } };
  },
  'classic-size': decodeClassicSize,
  packet: (bytes) => {
    const decoded = createPacketDecoder(maxPayloadBytes)(bytes);
    if (decoded.kind !== 'ok' || decoded.value.kind === 'blank') return decoded;
    const { members: _members, bytes: _bytes, ...value } = decoded.value;
    return { ...decoded, value: JSON.parse(JSON.stringify(value)) };
  },
  dialect: (bytes) => detectDialect(bytes, maxClassicBytes),
};

interface Vector {
  readonly decode: (bytes: Buffer) => Decoded<unknown>;
  /** Whether a strict prefix may be `ok`: text that nothing ends may be whole at any length. */
  readonly mayGrow: boolean;
  readonly expect: string;
  readonly value: unknown;
  readonly bytes: Buffer;
}

function readVector(file: string): Vector {
  const text = readFileSync(new URL(file, folder), 'utf8').replaceAll('\r\n', '\n');
  const split = text.indexOf('\n\n');
  const head = text.slice(0, split).split('\n');
  const fields = new Map(
    head.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const hex = text.slice(split).replace(/#.*$/gm, '').replace(/\s/g, '');
  assert.match(hex, /^([0-9a-f]{2})*$/);
  const name = fields.get('decoder') ?? '';
  const decode = decoders[name];
  assert.ok(decode, `${file} names a decoder that there is not: ${name}`);
  return {
    decode,
    mayGrow: name.startsWith('classic'),
    expect: fields.get('expect') ?? '',
    value: JSON.parse(fields.get('value') ?? 'null'),
    bytes: Buffer.from(hex, 'hex'),
  };
}

function outcome(decoded: Decoded<unknown>): string {
  return decoded.kind === 'bad' ? `bad ${decoded.error.code}` : decoded.kind;
}

const files = readdirSync(folder).filter((file) => file.endsWith('.txt'));

test('there are vectors', () => {
  assert.ok(files.length >= 25);
});

for (const file of files) {
  test(`${file} is decoded as it says, whole and byte by byte`, () => {
    const { decode, mayGrow, expect, value, bytes } = readVector(file);
    const whole = decode(bytes);
    assert.equal(outcome(whole), expect);
    if (whole.kind === 'ok') assert.deepEqual(whole.value, value);
    const early = ['more', ...(mayGrow ? ['ok'] : []), ...(expect.startsWith('bad') ? [expect] : [])];
    for (let length = 0; length < bytes.length; length += 1) {
      const prefix = outcome(decode(bytes.subarray(0, length)));
      assert.ok(early.includes(prefix), `the first ${length} bytes are ${prefix}`);
    }
  });
}
