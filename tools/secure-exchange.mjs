// Writes docs/protocol/encrypted-ik.md and encrypted-nk.md: an encrypted circuit in bytes, from fixed keys, as the built program makes it.
//
// Usage: npm run exchange. Ephemeral keys are fixed here and nowhere else.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { firstOverhead, patternNumber, prologueOf } from '../dist/secure/handshake/first-records.js';
import { encodeHello, encodeWelcome } from '../dist/secure/handshake/hello.js';
import { Handshake } from '../dist/secure/handshake/noise.js';
import { keyBytes, nodeAead, tagBytes } from '../dist/secure/records/aead.js';
import {
  encodeRecordHeader,
  maxClientContent,
  maxNodeContent,
  RecordSealer,
  recordKinds,
} from '../dist/secure/records/record.js';
import { encodeBech32 } from '../dist/wire/keys/bech32.js';
import { keyOfBytes } from '../dist/wire/keys/key.js';
import { encodeMessage } from '../dist/wire/native/messages.js';

const software = 'example/1';
const trace = '000102030405060708090a0b0c0d0e0f';
const secrets = {
  client: Buffer.alloc(32, 0x11),
  node: Buffer.alloc(32, 0x22),
  'client, ephemeral': Buffer.alloc(32, 0x33),
  'node, ephemeral': Buffer.alloc(32, 0x44),
};
const keys = Object.fromEntries(Object.entries(secrets).map(([whose, secret]) => [whose, keyOfBytes(secret)]));
const content = Buffer.from('hello, hops\n');
const requests = [
  { type: 'stat', name: 'hello.txt', digests: ['sha256'] },
  { type: 'read', offset: 0, length: 1_048_576 },
];
const answers = Buffer.concat([
  encodeMessage({ type: 'status', size: content.length, version: '1', pieceBytes: 1_048_576, digest: 'sha256' }),
  encodeMessage({ type: 'data', offset: 0, length: content.length }),
  content,
  encodeMessage({ type: 'end', digest: createHash('sha256').update(content).digest('hex') }),
]);
const ping = encodeMessage({ type: 'ping' });
/** The last record under the first key of a direction; the one behind it is the first under the second. */
const lastOfFirstKey = 65_535;

/** The pages by their path in the repository. */
export const pages = {
  'docs/protocol/encrypted-ik.md': pageOf(
    `# An encrypted circuit in bytes: IK

What [Encryption](encryption.md) describes, made from fixed keys, so that a second implementation can be tried
against it: each message, in plain and sealed. \`npm run exchange\` writes this page and [the one for NK](encrypted-nk.md), which has the
same keys and the same OPEN.

The keys, in hex:`,
    tableOf(
      ['whose', 'secret', 'public'],
      Object.entries(secrets).map(([whose, secret]) => [whose, code(secret), code(keys[whose].public.bytes)]),
    ),
    'Those that last, as text:',
    tableOf(
      ['whose', 'secret and public'],
      ['client', 'node'].flatMap((whose) => [
        [whose, `\`${secretText(secrets[whose])}\``],
        ['', `\`${keys[whose].public.text}\``],
      ]),
    ),
    `A real client and a real node make new ephemeral keys for each handshake. The client asks the node, which is the only hop, for
\`hello.txt\`. OPEN travels in plain. Its trace is \`${trace}\`:`,
    dump(encodeMessage({ type: 'open', hops: ['origin.example:7001'], hop: 1, trace, deadlineMs: 30_000 })),
    ...exampleOf('IK'),
  ),
  'docs/protocol/encrypted-nk.md': pageOf(
    `# An encrypted circuit in bytes: NK

The client has no key of its own here. The other keys and OPEN are those of [the page for IK](encrypted-ik.md).`,
    ...exampleOf('NK'),
  ),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(pages)) writeFileSync(new URL(`../${file}`, import.meta.url), text);
}

function pageOf(...parts) {
  return `${parts.join('\n\n')}\n`;
}

function exampleOf(pattern) {
  const hello = encodeHello(1_800_000_000_000, software, requests);
  const welcome = encodeWelcome(software, true);
  const header = headerOf(recordKinds.first, patternNumber(pattern), hello.length + firstOverhead(pattern));
  const options = { pattern, prologue: prologueOf(trace, header) };
  const own = pattern === 'IK' ? keys.client : undefined;
  const ephemeral = { client: keys['client, ephemeral'], node: keys['node, ephemeral'] };
  const client = Handshake.initiator({ ...options, own, remote: keys.node.public, ephemeral: ephemeral.client });
  const node = Handshake.responder({ ...options, own: keys.node, ephemeral: ephemeral.node });
  const first = client.write(hello);
  node.read(first);
  const answer = node.write(welcome);
  client.read(answer);
  const { send, receive } = client.split();
  const forward = sealerOf(send, maxClientContent);
  const back = sealerOf(receive, maxNodeContent);
  return [
    `## ${pattern}`,
    'The prologue:',
    dump(options.prologue),
    'What the first message carries, hello, STAT and READ:',
    dump(hello),
    'The record of the first message:',
    dump(Buffer.concat([header, first])),
    'What the answer carries, welcome:',
    dump(welcome),
    'The record of the answer:',
    dump(Buffer.concat([headerOf(recordKinds.answer, 0, answer.length), answer])),
    'The keys of the two directions:',
    tableOf(
      ['direction', 'key'],
      [
        ['forward', code(send)],
        ['back', code(receive)],
      ],
    ),
    'The client confirms that it is there, with its record 0, which is empty:',
    dump(forward.seal([])),
    'What the node answers, STATUS, DATA, 12 raw bytes and END:',
    dump(answers),
    'Its record 0, with all of that:',
    dump(back.seal([answers])),
    'What the client says then, PING:',
    dump(ping),
    'Its record 1, with that:',
    dump(forward.seal([ping])),
    ...(pattern === 'IK' ? rekeyOf(Buffer.from(send), forward) : []),
    `The end of the client, its record ${pattern === 'IK' ? '65,537' : '2'}:`,
    dump(forward.seal([])),
    'The end of the node, its record 1:',
    dump(back.seal([])),
  ];
}

/** The records around the first change of a key, all with PING. */
function rekeyOf(key, forward) {
  const next = Buffer.alloc(keyBytes + tagBytes);
  nodeAead.seal(key, 2n ** 64n - 1n, Buffer.alloc(0), [Buffer.alloc(keyBytes)], next);
  for (let number = 2; number < lastOfFirstKey; number += 1) forward.seal([ping]);
  return [
    'Where it goes on with PING in every record, this is its record 65,535:',
    dump(forward.seal([ping])),
    'With record 65,536 its key becomes REKEY of it:',
    tableOf(['direction', 'key'], [['forward', code(next.subarray(0, keyBytes))]]),
    'That record:',
    dump(forward.seal([ping])),
  ];
}

function sealerOf(key, maxContent) {
  return new RecordSealer({ aead: nodeAead, key: Buffer.from(key), maxContent });
}

function headerOf(kind, pattern, length) {
  return encodeRecordHeader({ kind, pattern, length });
}

function secretText(secret) {
  return encodeBech32('hop-secret-key-', secret).toUpperCase();
}

function code(bytes) {
  return `\`${bytes.toString('hex')}\``;
}

function tableOf(head, rows) {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at].length)));
  const line = (cells) => `| ${cells.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function dump(bytes) {
  const rows = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = row.toString('hex').match(/../g).join(' ').padEnd(48);
    const text = row.toString('latin1').replace(/[^ -~]/g, '.');
    rows.push(`${at.toString(16).padStart(4, '0')}  ${hex} ${text}`.trimEnd());
  }
  return ['```', ...rows, '```'].join('\n');
}
