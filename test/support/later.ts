/** A time at which the files of a test are old enough for an origin to remember their digests. */

import type { TestContext } from 'node:test';

const hourMs = 3_600_000;

/** From now on, until the test ends, it is an hour later: the times of files are the system's, and stay. */
export function makeLater(t: TestContext): void {
  const now = Date.now;
  t.mock.method(Date, 'now', () => now() + hourMs);
}
