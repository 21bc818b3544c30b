import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeRecord,
  type EntryRecord,
  encodeRecord,
  recordBytes,
  recordOffset,
  trailerBytes,
} from '../../../../src/gateway/cache/disk/entry-record.ts';
import { parseDirectives } from '../../../../src/http/caching/directives.ts';

const record: EntryRecord = {
  head: {
    key: 'http://example.org/',
    selection: [
      ['accept', null],
      ['accept-language', 'de'],
    ],
    status: 200,
    reason: 'OK',
    fields: ['Content-Type', 'text/plain'],
    terms: {
      lifetimeS: 60,
      ageS: 0.5,
      staleWhileRevalidateS: 0,
      staleIfErrorS: 0,
      mustRevalidate: false,
      noCache: false,
    },
    arrivedMs: 1,
  },
  contentBytes: 1500,
  blockBytes: 1024,
  algorithm: 'sha256',
  root: 'ab',
};

function decode(bytes: Buffer, fileBytes: number): EntryRecord | undefined {
  const trailer = bytes.subarray(Math.max(0, bytes.length - trailerBytes));
  const length = recordBytes(trailer);
  if (length === undefined || length > bytes.length - trailerBytes) return undefined;
  return decodeRecord(
    bytes.subarray(bytes.length - trailerBytes - length, bytes.length - trailerBytes),
    trailer,
    fileBytes,
  );
}

test('reads back what was written behind the content', () => {
  const bytes = encodeRecord(record);
  assert.equal(recordOffset(record), 1500 + 2 * 32);
  assert.deepEqual(decode(bytes, recordOffset(record) + bytes.length), record);
});

test('takes no record out of a file of another length, or with any byte of it changed', () => {
  const bytes = encodeRecord(record);
  const fileBytes = recordOffset(record) + bytes.length;
  assert.equal(decode(bytes, fileBytes - 1), undefined);
  for (let index = 0; index < bytes.length; index += 1) {
    // Nothing is written there, and nothing is read.
    if (index >= bytes.length - 36 && index < bytes.length - 32) continue;
    const changed = Buffer.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    assert.equal(decode(changed, fileBytes), undefined, `byte ${index}`);
  }
});

test('makes nothing of any other bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(decode(Buffer.from(bytes), bytes.length), undefined);
    }),
  );
});

test('reads any text as directives, at once', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 2000, unit: fc.constantFrom(...'a=", \\\t;*-0'.split('')) }), (text) => {
      for (const [name] of parseDirectives(text)) assert.match(name, /^[^\s=,"]+$/);
    }),
    { numRuns: 1000 },
  );
  const startedMs = performance.now();
  parseDirectives(`${'"\\'.repeat(20_000)}${'a="'.repeat(20_000)}`);
  assert.ok(performance.now() - startedMs < 1000);
});
