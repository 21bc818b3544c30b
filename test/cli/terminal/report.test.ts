/** How far a transfer is, in each of the styles of --progress. */

import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { ProgressStyle } from '../../../src/cli/terminal/progress-flag.ts';
import { createFileTalk, createReport, type ReportFlags } from '../../../src/cli/terminal/report.ts';
import type { DownloadEvent } from '../../../src/client/transfer-events.ts';

const size = 4 * 1024 ** 2;

/** What goes to stderr, maybe a terminal, and to stdout, when a file comes in four steps of six seconds. */
function told(t: TestContext, flags: ReportFlags, isTTY = false): { readonly talk: string; readonly results: string } {
  let [talk, results] = ['', ''];
  const clock = { now: 0 };
  t.mock.method(performance, 'now', () => clock.now);
  t.mock.method(process.stderr, 'write', (text: string) => {
    talk += text;
    return true;
  });
  const terminal = { isTTY, columns: 80, clearLine: () => {}, cursorTo: () => {} };
  const before = Object.keys(terminal).map(
    (name) => [name, Object.getOwnPropertyDescriptor(process.stderr, name)] as const,
  );
  for (const [name, value] of Object.entries(terminal))
    Object.defineProperty(process.stderr, name, { value, configurable: true });
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      results += chunk;
      done();
    },
  });
  try {
    const words = { where: 'here', progress: flags.progress, formatResult: () => 'saved\n' } as const;
    const report = createReport<DownloadEvent, { readonly path: string }>(flags, stdout, {
      result: (result) => ['done', result],
      text: () => createFileTalk(words, stdout),
    });
    report.event({ kind: 'started', size, reservation: 'allocated', leftBytes: 0, restarted: false });
    for (const part of [1, 2, 3, 4]) {
      clock.now += part === 4 ? 1 : 6000;
      report.event({ kind: 'progress', bytes: (size / 4) * part, size });
    }
    report.done({ path: 'x' });
    report.stop();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(process.stderr, name, descriptor);
      else Reflect.deleteProperty(process.stderr, name);
    }
    t.mock.restoreAll();
  }
  return { talk, results };
}

const eventsOf = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test('plain is a line now and then, on a terminal too', (t) => {
  for (const isTTY of [true, false]) {
    const { talk, results } = told(t, { progress: 'plain' }, isTTY);
    assert.match(talk, /^ 25% 1\.0 MiB of 4\.0 MiB, .* left\n 50% .*\n 75% .*\n$/);
    assert.equal(results, 'saved\n');
  }
});

test('a bar is drawn on a terminal alone, where it is what there is anyway', (t) => {
  for (const progress of ['bar', undefined] as const) {
    const flags = progress ? { progress } : {};
    assert.match(told(t, flags, true).talk, /25% \[=+ +\]/);
    assert.match(told(t, flags).talk, /^ 25% 1\.0 MiB of/);
  }
});

test('json is an object a line on stderr, the last of them that all has come', (t) => {
  const { talk, results } = told(t, { progress: 'json' }, true);
  assert.deepEqual(
    eventsOf(talk).map(({ event, bytes, size: whole }) => [event, bytes / whole]),
    [0.25, 0.5, 0.75, 1].map((part) => ['progress', part]),
  );
  assert.equal(results, 'saved\n');
});

test('none and --quiet say nothing of it', (t) => {
  for (const isTTY of [true, false]) {
    assert.deepEqual(told(t, { progress: 'none' }, isTTY), { talk: '', results: 'saved\n' });
    assert.deepEqual(told(t, { quiet: true, progress: 'bar' }, isTTY), { talk: '', results: '' });
  }
});

test('with --json progress is among the other lines, or there is none', (t) => {
  const kinds = (progress: ProgressStyle) => {
    const { talk, results } = told(t, { json: true, progress }, true);
    assert.equal(talk, '');
    return eventsOf(results).map(({ event }) => event);
  };
  for (const progress of ['bar', 'plain', 'json'] as const) {
    assert.deepEqual(kinds(progress), ['started', 'progress', 'progress', 'progress', 'done']);
  }
  assert.deepEqual(kinds('none'), ['started', 'done']);
});
