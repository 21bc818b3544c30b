#!/usr/bin/env node
/**
 * Where the program begins: signals and exceptions are listened for before all else is loaded, which takes a while.
 *
 * Invariant: imports nothing by a declaration but what listens.
 */

import { listenForExceptions, loading } from './process/exceptions.ts';
import { listenForSignals } from './process/signals.ts';

listenForSignals();
listenForExceptions();
const { run } = await loading(() => import('./program.ts'));
process.exitCode = await run(process.argv);
// Whoever started this process may hold a channel to it; hearing that close must not keep it alive.
process.channel?.unref();
