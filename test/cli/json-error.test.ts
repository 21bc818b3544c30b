import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { mainFile } from '../support/program.ts';

function get(...args: string[]) {
  return spawnSync(process.execPath, [mainFile, 'get', ...args], { encoding: 'utf8', timeout: 30_000 });
}

test('a failure with --json is an object on stdout, or on stderr where stdout carries the content', () => {
  for (const [args, stream] of [
    [['none.txt', '--json'], 'stdout'],
    [['none.txt', '--json', '-o', '-'], 'stderr'],
  ] as const) {
    const ended = get(...args);
    assert.equal(ended.status, 3);
    assert.equal((JSON.parse(ended[stream]) as { code: string }).code, 'ROUTE_UNREADABLE');
    assert.equal(ended[stream === 'stdout' ? 'stderr' : 'stdout'], '');
  }
});
