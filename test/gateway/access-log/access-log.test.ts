import assert from 'node:assert/strict';
import { readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../../src/core/log.ts';
import type { AccessRecord } from '../../../src/gateway/access-log/access-format.ts';
import { openAccessLog } from '../../../src/gateway/access-log/access-log.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const record: AccessRecord = {
  time: 0,
  client: '192.0.2.7',
  method: 'GET',
  target: '/',
  version: '1.1',
  status: 200,
  bytes: 1,
  totalMs: 1,
  retries: 0,
  id: '0'.repeat(32),
};

const options = { maxBytes: 1_000_000, log: silentLogger } as const;

async function linesOf(file: string): Promise<string[]> {
  return (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
}

test('each record is a line in its order, all of them there once the log is closed', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'access.log');
  const log = await openAccessLog({ ...options, file });
  for (let index = 0; index < 1000; index += 1) log.write({ ...record, target: `/${index}` });
  await log.close();
  const lines = await linesOf(file);
  assert.deepEqual(
    lines.map((line) => /"GET \/(\d+) /.exec(line)?.[1]),
    Array.from({ length: 1000 }, (_, index) => String(index)),
  );
});

test('a log that exists is appended to', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'access.log');
  for (let run = 0; run < 2; run += 1) {
    const log = await openAccessLog({ ...options, file });
    log.write(record);
    await log.close();
  }
  assert.equal((await linesOf(file)).length, 2);
});

test('after a rotation the log goes on in a new file, and no line is lost', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'access.log');
  const log = await openAccessLog({ ...options, file });
  for (let index = 0; index < 500; index += 1) log.write(record);
  await rename(file, `${file}.1`);
  log.reopen();
  for (let index = 0; index < 500; index += 1) log.write(record);
  log.reopen();
  await log.close();
  const [old, current] = [await linesOf(`${file}.1`), await linesOf(file)];
  assert.equal(old.length + current.length, 1000);
  assert.ok(current.length > 0);
});

test('what a slow disk cannot take is dropped and counted, and told once', async (t) => {
  const root = await makeTempRoot(t);
  const told: string[] = [];
  const log = await openAccessLog({
    file: path.join(root.path, 'access.log'),
    maxBytes: 500,
    log: { ...silentLogger, warn: (_fields, message) => told.push(message) },
  });
  for (let index = 0; index < 100; index += 1) log.write(record);
  assert.ok(log.dropped > 90, String(log.dropped));
  await log.close();
  assert.deepEqual(told, ['the access log is too slow: lines are dropped']);
  assert.equal((await linesOf(path.join(root.path, 'access.log'))).length, 100 - log.dropped);
});

test('a place that cannot be written is an error with the place', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'no', 'access.log');
  await assert.rejects(openAccessLog({ ...options, file }), {
    code: 'DISK_FAILED',
    message: `cannot write ${file}: the directory ${path.dirname(file)} does not exist; make it, or name another place`,
  });
});

test('a full disk costs lines, not requests', {
  skip: process.platform !== 'linux' && '/dev/full is of Linux',
}, async () => {
  const told: string[] = [];
  const warn = (_fields: object, message: string) => told.push(message);
  const log = await openAccessLog({ ...options, file: '/dev/full', log: { ...silentLogger, warn } });
  for (let index = 0; index < 10; index += 1) log.write(record);
  await log.close();
  log.write(record);
  log.reopen();
  await log.close();
  assert.match(told.join(), /the access log fails: ENOSPC/);
});
