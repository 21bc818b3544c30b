#!/usr/bin/env node
/**
 * The start of the program: signals and exceptions have listeners before the rest is loaded, which takes a while.
 *
 * It runs as tools/bundle.mjs has bundled it. Beside it stands the rest in two scripts, that of a client's commands and that of
 * all, each with what V8 made of it at build time.
 * Invariant: no import declaration but those of the listeners, the version and a list of names.
 */

import { softwareVersion } from '../core/software.ts';
import { clientCommands } from './client-commands.ts';
import { listenForExceptions, loading } from './process/exceptions.ts';
import { listenForSignals } from './process/signals.ts';

type Program = typeof import('./program.ts');

listenForSignals();
listenForExceptions();
// As the program would answer, which takes as long to load as all else; it is left to say why nobody can read the answer.
if (['--version', '-V'].includes(process.argv[2] ?? '')) {
  process.stdout.once('error', () => void runProgram()).write(`${softwareVersion}\n`);
} else void runProgram();

async function runProgram(): Promise<void> {
  const { run } = await loading(loadRest);
  process.exitCode = await run(process.argv);
  // Whoever started this process may hold a channel to it; hearing that close must not keep it alive.
  process.channel?.unref();
}

async function loadRest(): Promise<Program> {
  const { loadProgram } = await import('./process/load-program.ts');
  const { ownFiles } = await import('./process/own-files.ts');
  const { ownCodeCache } = await import('./process/own-code-cache.ts');
  const script = clientCommands.includes(process.argv[2] ?? '') ? 'client' : 'program';
  const own = ownCodeCache(script);
  // The own one first: it is there only where that of the build did not fit.
  const caches = [() => own?.read(), () => ownFiles.read(`${script}.cache`)];
  const name = `${script}.js`;
  const given = [ownFiles.read(name), ownFiles.requireFrom(name)] as const;
  const { exports, isCached, makeCache } = loadProgram<Program>(ownFiles.place(name), caches, ...given);
  if (own && !isCached) process.once('exit', () => own.write(makeCache));
  return exports;
}
