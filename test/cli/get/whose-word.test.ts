/** What commands claim of files that came to them, or that they sent, over routes with keys. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { formatRoute } from '../../../src/index.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { startChain } from '../../support/chain.ts';
import { keyed } from '../../support/keyed.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const { key } = newKey();

test('a result names the key that vouched for all of it, in text and in JSON', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (const file of ['dir/a', 'dir/b']) await root.writeRandom(file, 1_500_000);
  const chain = await startChain(t, 2, root.path, { identity: key, next: ['127.0.0.1'], uploads: {} });
  const write = (name: string, file: string) =>
    writeFile(path.join(out.path, name), formatRoute(keyed(chain.route(file), key.public)));
  await Promise.all([write('file.txt', 'dir/a'), write('dir.txt', 'dir')]);
  const said = new RegExp(`\\nverified +by key ${key.public.short}, `);
  const commands: [args: string[], what: RegExp][] = [
    [['get', 'file.txt'], /all 2 pieces\n$/],
    [['get', 'file.txt'], /all 2 pieces\n$/],
    [['get', 'file.txt', '--', 'dir/a', 'dir/b'], /every piece of every file\n/],
    [['get', 'dir.txt', '-o', 'tree'], /every piece of every file\n/],
    [['put', 'a', 'file.txt', '--as', 'sent'], /all 2 pieces\n$/],
  ];
  for (const [args, what] of commands) {
    const { code, stdout, stderr } = await runProgram(t, args, { cwd: out.path });
    assert.equal(code, 0, stderr);
    assert.match(stdout, said);
    assert.match(stdout, what);
  }
  for (const [args] of commands) {
    const again = args.flatMap((arg) => (arg === 'sent' ? ['sent-2'] : arg === 'tree' ? ['tree-2'] : [arg]));
    const [command = '', ...rest] = again;
    const { code, stdout } = await runProgram(t, [command, '--json', ...rest], { cwd: out.path });
    assert.equal(code, 0);
    const done = stdout.split('\n').filter((line) => line.includes('"done"'));
    assert.ok(done.length > 0);
    for (const line of done) {
      const { encrypted, verifiedBy } = JSON.parse(line);
      assert.deepEqual([encrypted, verifiedBy], [true, key.public.text]);
    }
  }
});
