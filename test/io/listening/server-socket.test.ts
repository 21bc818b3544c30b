import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnAddress } from '../../../src/io/listening/server-socket.ts';

test('a server is reached by every address of the machine that leads to it, however it is written', () => {
  const table = [
    ['127.0.0.1', '127.0.0.1', true],
    ['::ffff:127.0.0.1', '127.0.0.1', true],
    ['::ffff:7f00:1', '127.0.0.1', true],
    ['0:0:0:0:0:0:0:1', '::1', true],
    ['127.0.0.2', '127.0.0.1', false],
    ['::1', '127.0.0.1', false],
    ['127.0.0.2', '0.0.0.0', true],
    ['::ffff:127.0.0.2', '::', true],
    ['0.0.0.0', '0.0.0.0', true],
    ['::', '::', true],
    ['::1', '::', true],
    ['192.0.2.1', '0.0.0.0', false],
    ['192.0.2.1', '::ffff:192.0.2.1', true],
  ] as const;
  for (const [address, bound, isOwn] of table)
    assert.equal(isOwnAddress(address, bound), isOwn, `${address}, ${bound}`);
});
