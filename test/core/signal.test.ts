import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnSignal, toAbortSignal } from '../../src/core/signal.ts';

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
