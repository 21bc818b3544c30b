#!/usr/bin/env node
/**
 * Where the program begins: its signals are listened for before all else is loaded, which takes a while.
 *
 * Invariant: imports nothing by a declaration but what listens for signals.
 */

import { listenForSignals } from './signals.ts';

listenForSignals();
const { run } = await import('./program.ts');
process.exitCode = await run(process.argv);
// Whoever started this process may hold a channel to it; hearing that close must not keep it alive.
process.channel?.unref();
