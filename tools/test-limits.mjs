// Loaded before each test file: a limit for each test, and for how long a file may go on behind its last one.
//
// Node's own limit counts for a file as a whole, so that a slow machine ends files in which nothing hangs.
// What hangs ends its file here, with the name of the test; tools/test.mjs ends the processes that it has left.
import { after, afterEach, beforeEach } from 'node:test';

const testMs = 120_000;
const endMs = 30_000;
let last = '';

// Of a test that is skipped Node tells the beginning and not the end, so whatever comes next counts as progress.
const watch = setTimeout(() => give(`the test "${last}" is not done after ${testMs / 1000} s`), testMs).unref();

beforeEach((test) => {
  last = test.name;
  watch.refresh();
});

afterEach(() => watch.refresh());

after(() => {
  clearTimeout(watch);
  setTimeout(() => give(`the file goes on ${endMs / 1000} s after its last test`), endMs).unref();
});

function give(reason) {
  console.error(`${process.argv[1]}: ${reason}`);
  process.exit(1);
}
