import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { repository } from '../../support/repository.ts';

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
