import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, link, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { Journal, journalHeader, readBooks } from '../../../../src/io/disk/writing/journal.ts';
import type { TargetContent, Vouched } from '../../../../src/io/disk/writing/target.ts';
import { repository } from '../../../support/repository.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const content: TargetContent = { file: 'a\nb', size: 10_000, pieceBytes: 1024, algorithm: 'sha256' };
const none: ReadonlyMap<number, Vouched> = new Map();

/** A journal of six pieces by two versions; its text and where it is. */
async function makeJournal(t: TestContext) {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, '.a.part.journal');
  const journal = await Journal.create(file, content, new Map([[7, { digest: 'd7', version: 'old one' }]]));
  for (const index of [0, 3, 1]) journal.addPiece(index, { digest: `d${index}`, version: 'v"2', key: 'hop1k' });
  for (const index of [2, 4]) journal.addPiece(index, { digest: `d${index}`, version: 'old one' });
  assert.equal(journal.count, 6);
  await journal.close();
  return { ...root, file, text: await readFile(file) };
}

const pieces = [
  { index: 7, digest: 'd7', version: 'old one' },
  { index: 0, digest: 'd0', version: 'v"2', key: 'hop1k' },
  { index: 3, digest: 'd3', version: 'v"2', key: 'hop1k' },
  { index: 1, digest: 'd1', version: 'v"2', key: 'hop1k' },
  { index: 2, digest: 'd2', version: 'old one' },
  { index: 4, digest: 'd4', version: 'old one' },
];

test('what was written down is read back, with its owner and versions', async (t) => {
  const { file, list } = await makeJournal(t);
  assert.deepEqual(await readBooks(file), { header: journalHeader(content), owner: process.pid, pieces });
  assert.deepEqual(await list(), ['.a.part.journal']);
});

test('the lines are those of docs/resume.md', async (t) => {
  const { text } = await makeJournal(t);
  const lines = text.toString().split('\n');
  for (const line of lines.slice(0, -1)) {
    assert.equal(line.slice(0, 9), `${crc32(line.slice(9)).toString(16).padStart(8, '0')} `);
  }
  assert.deepEqual(
    lines.map((line) => line.slice(9)),
    [
      'hopline 1 {"file":"a\\nb","size":10000,"pieceBytes":1024,"algorithm":"sha256"}',
      `owner ${process.pid}`,
      'version 0 b2xkIG9uZQ -',
      'piece 7 d7 0',
      'version 1 diIy hop1k',
      'piece 0 d0 1',
      'piece 3 d3 1',
      'piece 1 d1 1',
      'piece 2 d2 0',
      'piece 4 d4 0',
      '',
    ],
  );
});

test('a new journal takes the place of an earlier one, and what is left of a third is in nobody’s way', async (t) => {
  const { file, list } = await makeJournal(t);
  await writeFile(`${file}.new`, 'a writer died here');
  await (await Journal.create(file, { ...content, size: 1 }, none)).close();
  const books = await readBooks(file);
  assert.deepEqual([books?.pieces, books?.header], [[], journalHeader({ ...content, size: 1 })]);
  assert.deepEqual(await list(), ['.a.part.journal']);
});

test('a removed journal is gone, and there is none where none was', async (t) => {
  const { file, list } = await makeJournal(t);
  const journal = await Journal.create(file, content, none);
  await journal.remove();
  await journal.remove();
  assert.equal(await readBooks(file), undefined);
  assert.deepEqual(await list(), []);
});

test('a piece is written down soon, though nothing follows it', async (t) => {
  const { path: root } = await makeTempRoot(t);
  const file = path.join(root, 'journal');
  const journal = await Journal.create(file, content, none);
  journal.addPiece(5, { digest: 'd5', version: 'v' });
  while ((await readBooks(file))?.pieces.length !== 1) await turn();
  journal.addPiece(6, { digest: 'd6', version: 'v' });
  await journal.sync({ datasync: async () => assert.equal((await readBooks(file))?.pieces.length, 2) });
  await journal.close();
});

test('pieces that keep coming are written down a few at a time, however fast each record is written', async (t) => {
  const { path: root } = await makeTempRoot(t);
  const file = path.join(root, '.a.part.journal');
  const journal = await Journal.create(file, content, none);
  const sizes = new Set<number>();
  const started = performance.now();
  let index = 0;
  for (; index < 1000 && sizes.size < 4; index += 1) {
    journal.addPiece(index, { digest: `d${index}`, version: 'v' });
    sizes.add((await stat(file)).size);
  }
  const elapsedMs = performance.now() - started;
  await journal.close();
  // One for what was there at first, one for each gathering of 50 ms at least.
  const most = 2 + elapsedMs / 45;
  assert.ok(sizes.size <= most, `${sizes.size} writes of ${index} pieces in ${elapsedMs} ms`);
  assert.equal((await readBooks(file))?.pieces.length, index);
});

test('any prefix of a journal yields a prefix of its pieces', async (t) => {
  const { file, text } = await makeJournal(t);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: text.length }), async (length) => {
      await writeFile(file, text.subarray(0, length));
      const books = await readBooks(file);
      assert.deepEqual(books?.pieces, pieces.slice(0, books?.pieces.length));
      const lines = text.subarray(0, length).toString().split('\n').slice(0, -1);
      assert.equal(books?.pieces.length, lines.filter((line) => line.slice(9).startsWith('piece')).length);
    }),
  );
});

test('any flipped bit drops its line and all that follow', async (t) => {
  const { file, text } = await makeJournal(t);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: text.length - 1 }), fc.nat({ max: 7 }), async (place, bit) => {
      const flipped = Buffer.from(text);
      flipped.writeUInt8(flipped.readUInt8(place) ^ (1 << bit), place);
      await writeFile(file, flipped);
      const sound = text.subarray(0, place).toString().split('\n').slice(0, -1);
      const books = await readBooks(file);
      assert.equal(books?.pieces.length, sound.filter((line) => line.slice(9).startsWith('piece')).length);
      assert.deepEqual(books?.pieces, pieces.slice(0, books?.pieces.length));
    }),
  );
});

test('zeros where a power cut lost the end are not read', async (t) => {
  const { file, text } = await makeJournal(t);
  await truncate(file, text.length - 5);
  await truncate(file, text.length + 4096);
  assert.deepEqual((await readBooks(file))?.pieces, pieces.slice(0, 5));
});

test('sound lines that make no sense end the reading', async (t) => {
  const { file } = await makeJournal(t);
  const seal = (record: string) => `${crc32(record).toString(16).padStart(8, '0')} ${record}\n`;
  const start = seal(journalHeader(content)) + seal('version 0 djE') + seal('piece 1 d1 0');
  for (const record of ['piece -1 d 0', 'piece 1.5 d 0', 'piece x d 0', 'piece 2 d 9', 'later 1', '']) {
    await writeFile(file, start + seal(record) + seal('piece 5 d5 0'));
    const books = await readBooks(file);
    assert.deepEqual(books?.pieces, [{ index: 1, digest: 'd1', version: 'v1' }], record);
  }
});

test('what is no journal of ours is there, and lists nothing', { skip: process.platform === 'win32' }, async (t) => {
  const { file, path: root } = await makeJournal(t);
  const other = path.join(root, 'other');
  const nothing = { header: '', owner: 0, pieces: [] };
  await writeFile(other, 'not a journal\n');
  assert.deepEqual(await readBooks(other), nothing);
  await writeFile(other, '');
  assert.deepEqual(await readBooks(other), nothing);
  await symlink(file, path.join(root, 'link'));
  assert.deepEqual(await readBooks(path.join(root, 'link')), nothing);
  assert.deepEqual(await readBooks(root), nothing);
  await promisify(execFile)('mkfifo', [path.join(root, 'fifo')]);
  assert.deepEqual(await readBooks(path.join(root, 'fifo')), nothing);
});

test('a journal that others may write to, or that has a second name, lists nothing, and a new one takes its place', {
  skip: process.platform === 'win32' && 'there are no such permissions',
}, async (t) => {
  const { file, path: root } = await makeJournal(t);
  for (const mode of [0o620, 0o602]) {
    await chmod(file, mode);
    assert.deepEqual((await readBooks(file))?.pieces, []);
  }
  await chmod(file, 0o600);
  assert.deepEqual((await readBooks(file))?.pieces, pieces);
  const other = path.join(root, 'other');
  await link(file, other);
  assert.deepEqual((await readBooks(file))?.pieces, []);
  const before = await readFile(other);
  const journal = await Journal.create(file, content, none);
  journal.addPiece(1, { digest: 'd1', version: 'v' });
  await journal.close();
  assert.deepEqual(await readFile(other), before);
  assert.equal((await readBooks(file))?.pieces.length, 1);
});

test('a journal that cannot be written whole leaves the one before it in its place', {
  skip: process.platform !== 'linux' && 'there is no full device',
}, async (t) => {
  const { file } = await makeJournal(t);
  const before = await readFile(file);
  // ulimit -f counts in blocks of 1024 bytes for the shell's children, so one of many pieces does not fit.
  const script = `
    process.on('SIGXFSZ', () => {});
    const { Journal } = await import(${JSON.stringify(new URL('dist/io/disk/writing/journal.js', repository).href)});
    const left = new Map(Array.from({ length: 100 }, (_, index) => [index, { digest: 'd'.repeat(64), version: 'v' }]));
    const content = ${JSON.stringify(content)};
    console.log(await Journal.create(${JSON.stringify(file)}, content, left).then(() => 'ok', (error) => error.code));
  `;
  const command = 'ulimit -f 1; exec "$0" --input-type=module -e "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script]);
  assert.equal(stdout, 'EFBIG\n');
  assert.deepEqual(await readFile(file), before);
});
