/** A value that is empty, as a variable of a shell that nobody has set: told in a line, and never taken for something else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

// Nobody listens at port 1, so a command that went on would end with 4.
const via = ['--via', '127.0.0.1:1'];

for (const { args, told } of [
  { args: ['get', ...via, 'file', '-o', ''], told: "option '-o, --output <PATH>'" },
  { args: ['get', ...via, 'file', '--identity='], told: "option '--identity <FILE>'" },
  { args: ['get', ...via, 'file', ''], told: "argument 'FILES'" },
  { args: ['get', ''], told: "argument 'ROUTE_FILE'" },
  { args: ['put', '', ...via], told: "argument 'FILE'" },
  { args: ['put', 'mine', ...via, '--as', ''], told: "option '--as <NAME>'" },
  { args: ['fetch', 'http://127.0.0.1:1/', '--cacert', ''], told: "option '--cacert <FILE>'" },
  { args: ['key', 'new', '-o', ''], told: "option '-o, --output <FILE>'" },
  { args: ['check', ''], told: "argument 'FILE'" },
]) {
  test(`${args.join(' ')}: an empty value is a wrong argument`, async (t) => {
    const home = await makeTempRoot(t);
    await home.writeRandom('mine', 10);
    const { code, stderr } = await runProgram(t, args, { cwd: home.path });
    assert.equal(code, 2, stderr);
    assert.ok(stderr.startsWith(`hopline: ${told} is invalid. Expected a value, and it is empty`), stderr);
    assert.deepEqual(await home.list(), ['mine']);
  });
}

test('content and fields that are sent may be empty', async (t) => {
  const args = ['fetch', 'http://127.0.0.1:1/', '-d', '', '-H', 'X-None:'];
  assert.equal((await runProgram(t, args, {})).code, 4);
});
