/** What a trace looks like, of looks that are made here. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTrace } from '../../../src/cli/trace/trace-report.ts';
import { wrap } from '../../../src/cli/trace/trace-text.ts';
import { createLook, type HopLook } from '../../../src/client/trace/hop-look.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import { parseHop } from '../../../src/wire/address.ts';
import { newKey } from '../../../src/wire/keys/key.ts';

const hopOf = (text: string) => {
  const parsed = parseHop(text);
  if (parsed.kind === 'bad') throw new Error(parsed.expected);
  return parsed.hop;
};

/** Two routes with everything in them, in cells as wide as they come. */
function looksAt(address = '127.0.0.1:17001'): HopLook[] {
  const first = createLook(1, 1, hopOf(address), undefined);
  const pong = { type: 'pong', software: 'hopline/0.1.0', load: { open: 2048, max: 16384 } } as const;
  const clock = { offsetMs: 4, errorMs: 2 };
  Object.assign(first, { state: 'answers', pong, clock, key: 'pinned', connectMs: 0.5, answerMs: 2.25, isDone: true });
  Object.assign(first, { rates: { up: 1_048_576_000, down: 1536 } });
  first.samplesMs.push(1, 2, 1.5);
  const second = createLook(1, 2, hopOf('origin.example:7001'), first);
  Object.assign(second, { ...first, place: 2, hop: second.hop, before: first, key: 'changed', answerMs: 30 });
  Object.assign(second, { samplesMs: [20, 22, 21], clock: { offsetMs: -10_800_000, errorMs: 1 }, findings: [] });
  const { text } = newKey().key.public;
  const message = `hop 2 (origin.example:7001) says that its key is ${text}, and the route has ${text}`;
  second.findings.push({ kind: 'failure', error: new HoplineError('KEY_CHANGED', message, { hop: 2 }) });
  const other = createLook(1, 2, hopOf('10.0.0.9:7001'), first);
  Object.assign(other, { state: 'classic', isDone: true });
  other.findings.push({ kind: 'warning', message: 'a warning', advice: 'something to do' });
  const behind = createLook(2, 1, hopOf('10.0.0.1:7001'), undefined);
  Object.assign(behind, { state: 'unreached' });
  return [first, second, other, behind];
}

test('where there is room a hop has all its figures, and below it what is wrong and what to do', () => {
  const lines = formatTrace(looksAt(), { columns: 120, rate: false, addressWidth: 19 });
  assert.deepEqual(lines.slice(0, 4), [
    'hop  address              verdict   connect    min     ms  jitter     leg  key        clock        load  version',
    'route 1',
    ' 1   127.0.0.1:17001      ok           0.50   1.00   1.50    0.75    1.50  pinned     right  2048/16384  0.1.0',
    ' 2   origin.example:7001  key          8.25   20.0   21.0    1.50    19.5  changed     -3 h  2048/16384  0.1.0',
  ]);
});

test('what the system knows of the first leg has columns where there is room, and the system can be asked', () => {
  const looks = looksAt();
  const tcp = { rttMs: 12.3, rttVarMs: 1, retransmits: 3, bytesSent: 1024, bytesReceived: 512 };
  Object.assign(looks[0] as HopLook, { tcp });
  const [head = '', , first = '', second = ''] = formatTrace(looks, {
    columns: 160,
    rate: false,
    tcp: true,
    addressWidth: 19,
  });
  assert.match(head, /version {5}tcp {2}again {6}bytes$/);
  assert.match(first, /0\.1\.0 {6}12\.3 {6}3 {4}1\.5 KiB$/);
  assert.match(second, /0\.1\.0$/);
});

test('at 60 columns the figures that matter less are left out, and nothing of what is wrong', () => {
  const looks = looksAt();
  const lines = formatTrace(looks, { columns: 60, rate: false, addressWidth: 19 });
  assert.deepEqual(lines.slice(0, 4), [
    'hop  address              verdict      ms  jitter  key',
    'route 1',
    ' 1   127.0.0.1:17001      ok         1.50    0.75  pinned',
    ' 2   origin.example:7001  key        21.0    1.50  changed',
  ]);
  const said = lines.slice(4).join('').replace(/\s+/g, '');
  const [finding] = looks[1]?.findings ?? [];
  assert.ok(finding?.kind === 'failure' && said.includes(finding.error.message.replace(/\s+/g, '')));
  assert.ok(said.includes('hint:askwhoeverrunsthatnode'));
  assert.ok(lines.includes(' 2|  10.0.0.9:7001        classic'), 'an alternate is marked');
  assert.ok(lines.includes('route 2'));
});

test('no line is longer than there are columns, with rates and the longest of addresses too', () => {
  for (const rate of [false, true]) {
    for (const address of ['127.0.0.1:17001', `${'a'.repeat(60)}.example:65535`]) {
      for (let columns = 40; columns <= 140; columns += 1) {
        const addressWidth = Math.max(19, address.length);
        for (const line of formatTrace(looksAt(address), { columns, rate, addressWidth })) {
          assert.ok(line.length <= columns, `${columns}: ${line}`);
        }
      }
    }
  }
});

test('foreign text in a table moves no cursor', () => {
  const [look] = looksAt();
  Object.assign(look as HopLook, { pong: { type: 'pong', software: '\u001b[2Jevil\u202e' } });
  const text = formatTrace([look as HopLook], { columns: 140, rate: false, addressWidth: 19 }).join('\n');
  for (const character of ['\u001b', '\u202e']) assert.ok(!text.includes(character));
});

test('words that no line has room for are broken, and none is lost', () => {
  const lines = wrap(`ab ${'x'.repeat(45)} cd`, 30, '  x ');
  assert.deepEqual(lines, ['  x ab', `    ${'x'.repeat(26)}`, `    ${'x'.repeat(19)} cd`]);
});
