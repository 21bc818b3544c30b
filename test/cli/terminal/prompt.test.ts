import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { startPeer } from '../../support/chain.ts';
import { repository } from '../../support/repository.ts';
import { converse, hasScript } from '../../support/terminal.ts';

const source = new URL('dist/cli/terminal/prompt.js', repository).href;
const program = `
import { openPrompts } from ${JSON.stringify(source)};
for (const question of ['First? ', 'Second? ', 'Third? ']) {
  const prompts = openPrompts();
  process.stdout.write((await prompts.ask(question)) + '\\n');
  prompts.close();
}
`;

test('prompts that are opened again after they were closed wait for their answer', async (t) => {
  const args = ['--input-type=module', '-e', program];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const closed = once(child, 'close');
  let answers = '';
  let questions = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answers += text;
  });
  // Each answer is sent when its question is there, so that no earlier prompt can have read it.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    questions += text;
    for (const _question of text.match(/\? /g) ?? []) child.stdin.write(`answer ${questions.match(/\? /g)?.length}\n`);
  });
  const [code] = await closed;
  assert.equal(code, 0);
  assert.equal(questions, 'First? Second? Third? ');
  assert.equal(answers, 'answer 1\nanswer 2\nanswer 3\n');
});

test('at a terminal a wrong answer is told at once, and the question asked again', async (t) => {
  if (!hasScript) return t.skip('there is no script command here that makes a terminal');
  const taken = await startPeer(t, () => {});
  const node = await converse(
    t,
    ['node', '--log-level', 'error'],
    [
      [/IP: $/, 'no host\n'],
      [/expected an address of this machine, such as 127\.0\.0\.1\s+.*IP: $/, '127.0.0.1\n'],
      [/PORT: $/, '70000\n'],
      [/expected a port from 0 to 65535, such as 7001; 0 is a free one\s+.*PORT: $/, `${taken.port}\n`],
      [/the port is in use\s+.*PORT: $/, '0\n'],
      [/listening on 127\.0\.0\.1:\d+/, '\x03'],
    ],
  );
  assert.match(node.shown, /<5>/);
  const get = await converse(
    t,
    ['get'],
    [
      [/Enter input filename: $/, 'none.txt\n'],
      [/none\.txt[\s\S]*Enter input filename: $/, '\x04'],
    ],
  );
  assert.equal(get.code, 2);
  const send = await converse(
    t,
    ['send', '--to', '127.0.0.1:1'],
    [
      [/Policy: $/, '\n'],
      [/expected the name of a policy, such as PP_1\s+.*Policy: $/, 'PP_1\n'],
      [/Payload: $/, 'hello\n'],
      [/Try again\? \[y\/N\] $/, 'maybe\n'],
      [/expected y or n\s+.*Try again\? \[y\/N\] $/, 'n\n'],
    ],
  );
  assert.equal(send.code, 4, send.shown);
  assert.equal(send.shown.split('cannot reach hop 1').length, 2, send.shown);
  assert.match(send.shown, /cannot reach hop 1.*\s+hint: .*\s+.*Try again/);
});
