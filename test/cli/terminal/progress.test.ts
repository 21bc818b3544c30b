/** Progress on terminals of several widths, as a process that believes in one writes it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { repository } from '../../support/repository.ts';

const source = new URL('dist/cli/terminal/progress.js', repository).href;

/** What `work` writes to a terminal of `columns`; a `\n` stands where the bar was drawn anew. */
async function drawn(columns: number, work: string): Promise<string> {
  const program = `
    Object.assign(process.stderr, { isTTY: true, columns: ${columns}, clearLine() {}, cursorTo: () => process.stderr.write('\\n') });
    const { startConnecting, startFileProgress, startProgress } = await import(${JSON.stringify(source)});
    ${work}
  `;
  const args = ['--input-type=module', '-e', program];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, text);
  return text;
}

const several = `
  const progress = startFileProgress(1000, 3, 123 * 2 ** 30);
  progress.update({ arrived: 0, failed: 0, bytes: 0 });
  progress.update({ arrived: 998, failed: 2, bytes: 100.1 * 2 ** 30 });
  progress.stop();
`;
const one = `
  const progress = startProgress(123 * 2 ** 30, 3, 2 ** 30);
  progress.update(123 * 2 ** 30);
  progress.stop();
`;

for (const [what, work] of [
  ['one file', one],
  ['several files', several],
] as const) {
  for (const columns of [30, 40, 60, 80, 93, 120, 200]) {
    test(`the bar of ${what} is no wider than a terminal of ${columns} columns`, async () => {
      const lines = (await drawn(columns, work)).split('\n').filter((line) => line !== '');
      assert.ok(lines.length > 0 && lines.some((line) => line.includes('[')));
      for (const line of lines) assert.ok(line.length <= columns, `${line.length}: ${line}`);
    });
  }
}

test('files that failed are told as that, and not among those that came', async () => {
  assert.match(await drawn(120, several), /998 of 1000 files, 2 failed, 100 GiB of 123 GiB, /);
});

test('says after a while on a terminal which hop is being connected to, unless that was quick', async () => {
  const route = `[[{ host: '10.0.0.1', port: 7001 }], [{ host: '10.0.0.2', port: 7002 }]]`;
  assert.equal(await drawn(80, `startConnecting(${route});`), 'connecting to hop 2, 10.0.0.2:7002 ...\n');
  assert.equal(await drawn(80, `startConnecting(${route}).stop();`), '');
});
