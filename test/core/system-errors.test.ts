import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { HoplineError } from '../../src/core/errors.ts';
import { systemCode, systemError, systemReason, writeError } from '../../src/core/system-errors.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const failed = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });

test('why the system failed is told in words, and what has none by its code', () => {
  assert.deepEqual(
    ['ENOENT', 'EISDIR', 'EACCES', 'ECONNREFUSED', 'EXYZ'].map((code) => systemReason(failed(code))),
    ['there is no such file', 'it is a directory', 'no permission', 'connection refused', 'EXYZ'],
  );
  assert.equal(systemReason('text'), 'unknown');
  const error = systemError('KEY_INVALID', 'cannot read x', failed('EACCES'));
  assert.deepEqual(
    [error.code, error.message, error.reason],
    ['KEY_INVALID', 'cannot read x: no permission', 'EACCES'],
  );
  assert.equal(systemError('KEY_INVALID', 'cannot read x', error), error);
});

test('a file that cannot be written names the directory that it lacks, and no other cause as that', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'no', 'such', 'x');
  const missing = await open(file, 'w').catch((error) => writeError(file, error));
  assert.ok(missing instanceof HoplineError);
  assert.deepEqual([missing.code, missing.reason], ['DISK_FAILED', 'ENOENT']);
  assert.ok(
    missing.message.endsWith(`: the directory ${path.dirname(file)} does not exist; make it, or name another place`),
  );
  assert.equal(
    writeError('a/x', failed('ENOENT', { syscall: 'rename' })).message,
    'cannot write a/x: there is no such file',
  );
  const { message } = writeError(path.join(root.path, 'x'), failed('ENOENT', { syscall: 'open' }));
  assert.ok(message.endsWith(`: no file can be made in ${root.path}; name another place`), message);
  for (const code of ['ENOSPC', 'EDQUOT']) assert.equal(writeError('x', failed(code)).code, 'DISK_FULL');
});

test('the system’s code of an error is told, and nothing that is not text', () => {
  assert.equal(systemCode(Object.assign(new Error(), { code: 'ENOENT' })), 'ENOENT');
  for (const other of [new Error(), Object.assign(new Error(), { code: 7 }), { code: 'ENOENT' }, null, undefined]) {
    assert.equal(systemCode(other), undefined);
  }
});
