/**
 * Has V8 wait longer before it optimizes what runs often, while a large file is fetched.
 *
 * Of such a transfer the hot parts are native: the functions of JavaScript between them run some thousand times, and to
 * optimize them costs V8's threads more than it saves (docs/performance.md). Later it is worth it, so nothing is turned off.
 * Knows nothing about transfers but how long they are.
 * Invariant: nothing is set where V8 has no such flag; what is set changes when functions are optimized, and nothing else.
 */

import { setFlagsFromString } from 'node:v8';

/** Below this, few functions run often enough; and whatever Node loads after a flag was set it compiles anew. */
const minBytes = 128 * 1024 * 1024;
/** Bytes of bytecode that a function runs through before V8 looks whether to optimize it; by itself, 67,584. */
const budget = 1_000_000;

/** To be called when everything has been loaded, and `bytes` are to be fetched. */
export function optimizeLate(bytes: number): void {
  if (bytes >= minBytes && hasBudget(process.versions.v8)) setFlagsFromString(`--interrupt-budget=${budget}`);
}

/** From version 12 on, that of Node 22, V8 counts calls; there nothing was gained. One that does not know a flag says so on stderr. */
function hasBudget(v8: string): boolean {
  return v8.startsWith('11.');
}
