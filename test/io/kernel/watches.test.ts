/** Watches on descriptors: who is told of what, when many are ready at once and some are closed by the others. */

import assert from 'node:assert/strict';
import { readdirSync, readSync, writeSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loadLibc } from '../../../src/io/kernel/libc.ts';
import type { PollEvents, PollHandle } from '../../../src/io/kernel/watches.ts';
import { whyNoKernel } from '../../support/kernel.ts';

const skip = whyNoKernel();
const readable: PollEvents = { readable: true, writable: false };
const writable: PollEvents = { readable: false, writable: true };

test('the first watch takes no descriptor that stays', { skip }, (t) => {
  const { into } = openPipe(t);
  const before = readdirSync('/proc/self/fd').length;
  loadLibc()
    .poll(into, writable, () => {})
    .close();
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('each of more descriptors than one turn tells of is told of', { skip }, async (t) => {
  const told = new Set<number>();
  const pipes = Array.from({ length: 300 }, () => openPipe(t));
  for (const { into } of pipes) writeSync(into, 'x');
  const all = new Promise<void>((resolve) => {
    for (const { out } of pipes) {
      const watch = loadLibc().poll(out, readable, () => {
        assert.ok(!told.has(out), 'it is watched no more');
        told.add(out);
        watch.close();
        if (told.size === pipes.length) resolve();
      });
    }
  });
  await all;
});

test('whoever gets the number of a descriptor that was closed in the same turn hears nothing of its events', {
  skip,
}, async (t) => {
  const libc = loadLibc();
  const old = [libc.pipe(), libc.pipe()] as { out: number; into: number }[];
  for (const { into } of old) writeSync(into, 'x');
  const watches: PollHandle[] = [];
  const calls: string[] = [];
  const { out, into } = await new Promise<Pipe>((resolve) => {
    const replace = () => {
      calls.push('old');
      for (const watch of watches) watch.close();
      for (const pipe of old) for (const fd of [pipe.out, pipe.into]) libc.close(fd);
      const next = [openPipe(t), openPipe(t)];
      const again = next.find((pipe) => old.some((one) => one.out === pipe.out));
      assert.ok(again, 'the system gives the lowest number that is free');
      for (const pipe of next)
        watches.push(watchOnce(t, pipe.out, () => calls.push(`new ${readSync(pipe.out, byte)}`)));
      resolve(again);
    };
    for (const pipe of old) watches.push(libc.poll(pipe.out, readable, replace));
  });
  for (let turns = 0; turns < 3; turns += 1) await turn();
  assert.deepEqual(calls, ['old']);
  writeSync(into, 'y');
  while (calls.length === 1) await turn();
  assert.deepEqual(calls, ['old', 'new 1'], `descriptor ${out}`);
});

test('a watch tells of what it was started for last, and of a pipe that nobody reads any more', { skip }, async (t) => {
  const libc = loadLibc();
  const { out, into } = libc.pipe() as Pipe;
  t.after(() => libc.close(into));
  const told: [number, PollEvents][] = [];
  const note = (status: number, events: PollEvents) => {
    told.push([status, events]);
    watch.stop();
  };
  const watch = libc.poll(into, readable, note);
  t.after(() => watch.close());
  for (let turns = 0; turns < 3; turns += 1) await turn();
  assert.deepEqual(told, []);
  watch.start(writable, note);
  while (told.length === 0) await turn();
  libc.close(out);
  watch.start(writable, note);
  while (told.length === 1) await turn();
  assert.deepEqual(told, [
    [0, writable],
    [-1, { readable: false, writable: false }],
  ]);
});

test('what cannot be watched is said at once', { skip }, () => {
  assert.throws(() => loadLibc().poll(1_000_000, readable, () => {}), /cannot be watched/);
});

interface Pipe {
  readonly out: number;
  readonly into: number;
}

const byte = Buffer.alloc(1);

function openPipe(t: TestContext): Pipe {
  const libc = loadLibc();
  const pipe = libc.pipe() as Pipe;
  t.after(() => [pipe.out, pipe.into].map((fd) => libc.close(fd)));
  return pipe;
}

function watchOnce(t: TestContext, fd: number, then: () => void): PollHandle {
  const watch = loadLibc().poll(fd, readable, () => {
    watch.close();
    then();
  });
  t.after(() => watch.close());
  return watch;
}
