/** The recorded exchanges of docs/protocol/: whoever writes a second implementation tests against these bytes. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Decoded } from '../../src/wire/decoded.ts';
import { decodeAnswer, decodeRequest } from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import { repository } from '../support/repository.ts';

const cap = 64 * 1024;

/** The bytes of every dump in a document, in its order. */
async function readDumps(name: string): Promise<Buffer[]> {
  const text = await readFile(new URL(`docs/${name}`, repository), 'utf8');
  const blocks = [...text.matchAll(/^```\n((?:[0-9a-f]{4} {2}[^\n]*\n)+)```$/gm)];
  return blocks.map(([, block = '']) => {
    const rows = block.trimEnd().split('\n');
    return Buffer.from(rows.map((row) => row.slice(6, 53).replaceAll(' ', '')).join(''), 'hex');
  });
}

interface Told {
  readonly type: string;
  readonly length?: number;
  readonly digest?: string;
}

/** The messages in a dump, and the raw bytes behind DATA and WRITE, whose digest is compared. */
function readMessages(bytes: Buffer): string[] {
  const types: string[] = [];
  let digestDue: string | undefined;
  let content: Buffer = Buffer.alloc(0);
  for (let rest = bytes; rest.length > 0; ) {
    const decoders = [decodeOpen, decodeRequest, decodeAnswer] as ((bytes: Buffer, cap: number) => Decoded<Told>)[];
    const decoded = decoders.map((decode) => decode(rest, cap)).find(({ kind }) => kind === 'ok');
    assert.ok(decoded?.kind === 'ok', `at ${bytes.length - rest.length}: ${rest.toString('latin1')}`);
    const { type, length, digest } = decoded.value;
    types.push(type);
    rest = rest.subarray(decoded.used);
    const raw = type === 'data' ? (length ?? 0) : type === 'write' ? 12 : 0;
    if (raw > 0) content = rest.subarray(0, raw);
    if (type === 'end' || type === 'write') digestDue = digest;
    if (digestDue !== undefined) assert.equal(createHash('sha256').update(content).digest('hex'), digestDue);
    rest = rest.subarray(raw);
  }
  return types;
}

test('the dumps of docs/protocol/exchange.md are what they are said to be', async () => {
  assert.deepEqual((await readDumps('protocol/exchange.md')).map(readMessages), [
    ['open', 'stat', 'read'],
    ['open', 'stat', 'read'],
    ['status', 'data', 'end'],
    ['refused', 'pong'],
    ['open', 'put'],
    ['ready'],
    ['write', 'commit'],
    ['stored', 'committed'],
    ['taken'],
  ]);
});

test('the exchanges of encrypted circuits are what the program makes of their keys', async () => {
  const tool = await import(new URL('tools/secure-exchange.mjs', repository).href);
  const made = Object.entries(tool.pages as Record<string, string>);
  assert.equal(made.length, 2);
  for (const [page, text] of made)
    assert.equal(text, await readFile(new URL(page, repository), 'utf8'), 'run `npm run exchange`');
});
