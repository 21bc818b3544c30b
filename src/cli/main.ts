#!/usr/bin/env node
/**
 * The start of the program: signals and exceptions have listeners before the rest is loaded, which takes a while.
 *
 * It runs as tools/bundle.mjs has bundled it: beside it stand the rest in one file, and what V8 made of that at build time.
 * Invariant: no import declaration but those of the listeners and of the version.
 */

import { fileURLToPath } from 'node:url';
import { softwareVersion } from '../core/software.ts';
import { listenForExceptions, loading } from './process/exceptions.ts';
import { listenForSignals } from './process/signals.ts';

listenForSignals();
listenForExceptions();
// As the program would answer, which takes as long to load as all else.
if (['--version', '-V'].includes(process.argv[2] ?? ''))
  process.stdout.on('error', () => {}).write(`${softwareVersion}\n`);
else void runProgram();

async function runProgram(): Promise<void> {
  const { run } = await loading(loadRest);
  process.exitCode = await run(process.argv);
  // Whoever started this process may hold a channel to it; hearing that close must not keep it alive.
  process.channel?.unref();
}

async function loadRest(): Promise<typeof import('./program.ts')> {
  const { loadProgram } = await import('./process/load-program.ts');
  return loadProgram<typeof import('./program.ts')>(beside('program.js'), [beside('program.cache')]).exports;
}

function beside(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
