import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eitherOf, OwnSignal, toAbortSignal } from '../../src/core/signal.ts';

test('tells each listener once, and none that has left', () => {
  const signal = new OwnSignal();
  const told: string[] = [];
  const gone = () => told.push('gone');
  signal.addEventListener('abort', () => told.push('one'));
  signal.addEventListener('abort', gone);
  signal.addEventListener('abort', () => told.push('two'));
  signal.removeEventListener('abort', gone);
  assert.equal(signal.aborted, false);
  signal.abort('why');
  signal.abort('again');
  assert.deepEqual([told, signal.aborted, signal.reason], [['one', 'two'], true, 'why']);
});

test('becomes a real signal for those who need one', () => {
  const real = new AbortController().signal;
  assert.equal(toAbortSignal(real), real);
  const signal = new OwnSignal();
  const followed = toAbortSignal(signal);
  assert.equal(followed.aborted, false);
  signal.abort('why');
  assert.deepEqual([followed.aborted, followed.reason], [true, 'why']);
  assert.equal(toAbortSignal(signal).reason, 'why');
});

test('an action that another removes before its turn is not called', () => {
  const signal = new OwnSignal();
  const called: string[] = [];
  const second = () => void called.push('second');
  signal.addEventListener('abort', () => {
    called.push('first');
    signal.removeEventListener('abort', second);
  });
  signal.addEventListener('abort', second);
  signal.abort('why');
  assert.deepEqual(called, ['first']);
  assert.throws(
    () => signal.throwIfAborted(),
    (reason) => reason === 'why',
  );
});

test('the reason is an error where none is given', () => {
  const signal = new OwnSignal();
  signal.abort();
  assert.ok(signal.reason instanceof Error);
});

test('either of two aborts with the reason of the first, and follows neither once it is released', () => {
  for (const place of [0, 1]) {
    const sources = [new OwnSignal(), new OwnSignal()] as const;
    const { signal } = eitherOf(...sources);
    const released = eitherOf(...sources);
    released.release();
    assert.equal(signal.aborted, false);
    sources[place]?.abort('first');
    sources[1 - place]?.abort('second');
    assert.deepEqual([signal.aborted, signal.reason, released.signal.aborted], [true, 'first', false]);
    assert.deepEqual(eitherOf(...sources).signal.aborted, true);
  }
});
