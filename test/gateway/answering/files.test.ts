/** Files over HTTP, out of a directory and from the end of a route: the same answers. */

import assert from 'node:assert/strict';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type FileSource, type OpenedFile, serveFiles } from '../../../src/gateway/answering/files.ts';
import { openRootSource } from '../../../src/gateway/answering/root-source.ts';
import type { Exchange, HttpAnswer } from '../../../src/http/exchange.ts';
import { RemoteFiles } from '../../../src/index.ts';
import { startChain, until } from '../../support/chain.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const time = new Date('2026-01-02T03:04:05Z');
const same = time.toUTCString();
const before = 'Fri, 02 Jan 2026 03:04:04 GMT';
const content = 'The quick brown fox jumps over the lazy dog.\n';
const size = content.length;
const etag = `"${(BigInt(time.getTime()) * 1_000_000n).toString(16)}-${size.toString(16)}"`;

interface Answered {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly text: string;
}

async function ask(
  exchange: Exchange,
  method: string,
  target: string,
  fields: readonly string[] = [],
): Promise<Answered> {
  const { signal } = new AbortController();
  const asked = {
    method,
    target,
    fields,
    scheme: 'http',
    authority: 'a',
    body: undefined,
    client: 'c',
    notes: {},
  } as const;
  const answer = await exchange({ ...asked, signal });
  const pairs = answer.fields.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), answer.fields[index + 1] ?? ''] as const] : [],
  );
  return { status: answer.status, fields: Object.fromEntries(pairs), text: (await read(answer)).toString('latin1') };
}

async function read({ body }: HttpAnswer): Promise<Buffer> {
  if (!body) return Buffer.alloc(0);
  const parts: Buffer[] = [];
  if (body instanceof Readable) for await (const part of body) parts.push(part as Buffer);
  else if ('handle' in body) {
    const bytes = Buffer.alloc(body.length);
    await body.handle.read(bytes, 0, bytes.length, body.offset);
    await body.close();
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

async function fill(root: string): Promise<void> {
  await mkdir(path.join(root, 'dir'));
  const names = ['fox.txt', 'dir/index.html', 'with space ü.css', 'unknown.zzz', 'empty'];
  for (const name of names) {
    await writeFile(path.join(root, name), name === 'empty' ? '' : content);
    await utimes(path.join(root, name), time, time);
  }
  await symlink('/etc/passwd', path.join(root, 'link'));
}

/** Counts what is open. */
function counting(source: FileSource): { source: FileSource; open: Set<OpenedFile> } {
  const open = new Set<OpenedFile>();
  const counted: FileSource = {
    open: async (name, options) => {
      const file = await source.open(name, options);
      const wrapped: OpenedFile = {
        ...file,
        close: async () => {
          open.delete(wrapped);
          await file.close();
        },
      };
      open.add(wrapped);
      return wrapped;
    },
  };
  return { source: counted, open };
}

type Expected = readonly [status: number, fields?: Readonly<Record<string, string | undefined>>, text?: string];
const wholeFields = {
  'content-type': 'text/plain',
  'content-length': String(size),
  etag,
  'last-modified': same,
  'accept-ranges': 'bytes',
  'content-range': undefined,
};
const whole: Expected = [200, wholeFields, content];
const range = (first: number, last: number): Expected => [
  206,
  { 'content-range': `bytes ${first}-${last}/${size}`, 'content-length': String(last - first + 1), etag },
  content.slice(first, last + 1),
];
const redirect = (location: string): Expected => [308, { location }, ''];

const table: readonly [
  rule: string,
  request: [method: string, target: string, ...fields: string[]],
  expected: Expected,
][] = [
  ['RFC 9110, 9.3.1: GET', ['GET', '/fox.txt'], whole],
  ['RFC 9110, 9.3.1: a query is not part of the name', ['GET', '/fox.txt?a=/b'], whole],
  ['RFC 9110, 9.3.2: HEAD has the fields of GET and no content', ['HEAD', '/fox.txt'], [200, wholeFields, '']],
  ['RFC 9110, 14.2: HEAD has no ranges', ['HEAD', '/fox.txt', 'Range', 'bytes=0-1'], [200, wholeFields, '']],
  ['RFC 9110, 9.3.7: OPTIONS', ['OPTIONS', '/fox.txt'], [204, { allow: 'GET, HEAD, OPTIONS' }, '']],
  ['RFC 9110, 9.3.7: OPTIONS *', ['OPTIONS', '*'], [204, { allow: 'GET, HEAD, OPTIONS' }, '']],
  ['RFC 9110, 15.5.6: another method, with Allow', ['PUT', '/fox.txt'], [405, { allow: 'GET, HEAD, OPTIONS' }, '']],
  [
    'RFC 3986, 2.1: percent-encoding',
    ['GET', '/with%20space%20%C3%BC.css'],
    [200, { 'content-type': 'text/css' }, content],
  ],
  ['RFC 3986, 2.1: encoding that is not one', ['GET', '/%zz'], [400]],
  ['RFC 3986, 2.2: an encoded slash is none of a name', ['GET', '/dir%2findex.html'], [400]],
  ['an empty part of a path', ['GET', '//fox.txt'], [400]],
  [
    'RFC 9110, 8.3: an unknown extension',
    ['GET', '/unknown.zzz'],
    [200, { 'content-type': 'application/octet-stream' }, content],
  ],
  ['an index', ['GET', '/dir/'], [200, { 'content-type': 'text/html' }, content]],
  ['RFC 9110, 15.4.9: a directory without its slash', ['GET', '/dir?q=1'], redirect('/dir/?q=1')],
  ['RFC 9110, 8.6: an empty file', ['GET', '/empty'], [200, { 'content-length': '0' }, '']],
  [
    'RFC 9110, 14.1.2: a range of an empty file',
    ['GET', '/empty', 'Range', 'bytes=0-'],
    [416, { 'content-range': 'bytes */0' }, ''],
  ],
  ['RFC 9110, 14.2: a range', ['GET', '/fox.txt', 'Range', 'bytes=4-8'], range(4, 8)],
  ['RFC 9110, 14.2: a suffix', ['GET', '/fox.txt', 'Range', 'bytes=-5'], range(size - 5, size - 1)],
  ['RFC 9110, 14.2: an open end', ['GET', '/fox.txt', 'Range', 'bytes=40-'], range(40, size - 1)],
  [
    'RFC 9110, 15.5.17: 416',
    ['GET', '/fox.txt', 'Range', 'bytes=100-'],
    [416, { 'content-range': `bytes */${size}` }, ''],
  ],
  ['RFC 9110, 14.2: another unit', ['GET', '/fox.txt', 'Range', 'lines=1-2'], whole],
  ['RFC 9110, 13.1.5: If-Range with the tag', ['GET', '/fox.txt', 'Range', 'bytes=4-8', 'If-Range', etag], range(4, 8)],
  [
    'RFC 9110, 13.1.5: If-Range with the time',
    ['GET', '/fox.txt', 'Range', 'bytes=4-8', 'If-Range', same],
    range(4, 8),
  ],
  ['RFC 9110, 13.1.5: If-Range with another tag', ['GET', '/fox.txt', 'Range', 'bytes=4-8', 'If-Range', '"x"'], whole],
  ['RFC 9110, 13.1.5: If-Range fails, so no 416', ['GET', '/fox.txt', 'Range', 'bytes=100-', 'If-Range', '"x"'], whole],
  [
    'RFC 9110, 15.4.5: 304 has the validators',
    ['GET', '/fox.txt', 'If-None-Match', etag],
    [304, { etag, 'last-modified': same, 'content-length': undefined }, ''],
  ],
  ['RFC 9110, 13.1.3: If-Modified-Since', ['HEAD', '/fox.txt', 'If-Modified-Since', same], [304, { etag }, '']],
  ['RFC 9110, 13.1.3: modified since', ['GET', '/fox.txt', 'If-Modified-Since', before], whole],
  [
    'RFC 9110, 13.2.2: conditions go before ranges',
    ['GET', '/fox.txt', 'If-None-Match', etag, 'Range', 'bytes=0-1'],
    [304, {}, ''],
  ],
  ['RFC 9110, 15.5.13: 412', ['GET', '/fox.txt', 'If-Match', '"x"'], [412, {}, '']],
  ['RFC 9110, 13.1.4: If-Unmodified-Since', ['GET', '/fox.txt', 'If-Unmodified-Since', before], [412, {}, '']],
];

const refusals = [
  ['/none', 'FILE_NOT_FOUND'],
  ['/fox.txt/', 'FILE_NOT_FOUND'],
  ['/', 'FILE_NOT_FOUND'],
  ['/../fox.txt', 'FILE_DENIED'],
  ['/dir/%2e%2e/fox.txt', 'FILE_DENIED'],
  ['/fox.txt%00', 'FILE_DENIED'],
  ['/link', 'FILE_DENIED'],
  ['/.fox.txt.part', 'FILE_DENIED'],
] as const;

const sources: Readonly<Record<string, (t: TestContext, root: string) => Promise<FileSource>>> = {
  'out of a directory': (_t, root) => openRootSource(root),
  'from the end of a route': async (t, root) => {
    const chain = await startChain(t, 2, root);
    const files = new RemoteFiles({ routes: chain.route('x').routes });
    t.after(() => files.close());
    return files;
  },
};

for (const [where, openSource] of Object.entries(sources)) {
  test(`files ${where}`, async (t) => {
    const root = await makeTempRoot(t);
    await fill(root.path);
    const { source, open } = counting(await openSource(t, root.path));
    const exchange = serveFiles(source);
    for (const [rule, [method, target, ...fields], [status, expected = {}, text]] of table) {
      await t.test(rule, async () => {
        const answered = await ask(exchange, method, target, fields);
        assert.equal(answered.status, status);
        for (const [name, value] of Object.entries(expected)) assert.equal(answered.fields[name], value, name);
        if (text !== undefined) assert.equal(answered.text, text);
      });
    }
    for (const [target, code] of refusals) {
      await t.test(`${target} is refused as ${code}`, async () => {
        await assert.rejects(ask(exchange, 'GET', target), { code });
      });
    }
    await t.test('RFC 9110, 14.6: several ranges make an answer of several parts', async () => {
      const answered = await ask(exchange, 'GET', '/fox.txt', ['Range', 'bytes=0-2,-5,10-14']);
      assert.equal(answered.status, 206);
      assert.equal(answered.fields['content-range'], undefined);
      assert.equal(answered.fields['content-length'], String(answered.text.length));
      const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(answered.fields['content-type'] ?? '') ?? [];
      const parts = answered.text.split(`--${boundary}`).slice(1, -1);
      const expected = [
        [0, 2],
        [size - 5, size - 1],
        [10, 14],
      ].map(
        ([first = 0, last = 0]) =>
          `\r\nContent-Type: text/plain\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n${content.slice(first, last + 1)}\r\n`,
      );
      assert.deepEqual(parts, expected);
    });
    await t.test('a body that nobody reads on is closed with its file', async () => {
      const stop = new AbortController();
      const asked = { method: 'GET', target: '/fox.txt', fields: [], scheme: 'http', authority: 'a' } as const;
      const { body } = await exchange({ ...asked, body: undefined, client: 'c', notes: {}, signal: stop.signal });
      assert.ok(body);
      if (body instanceof Readable) body.destroy();
      else if ('handle' in body) await body.close();
    });
    await until(() => open.size === 0);
  });
}

test('RFC 9110, 8.8.2.1: a modification time that is still to come is not sent', async (t) => {
  const root = await makeTempRoot(t);
  await fill(root.path);
  const exchange = serveFiles(await openRootSource(root.path), { now: () => time.getTime() - 1 });
  const { fields } = await ask(exchange, 'GET', '/fox.txt');
  assert.equal(fields['last-modified'], undefined);
  assert.equal(fields.etag, etag);
});

test('a version that no field could hold makes a tag that one can', async () => {
  const close = async () => {};
  const file: OpenedFile = { size: 0, version: 'a"\r\nb é', read: () => Readable.from([]), close };
  const { fields } = await ask(serveFiles({ open: async () => file }), 'GET', '/a');
  assert.match(fields.etag ?? '', /^"[0-9a-f]{64}"$/);
});
