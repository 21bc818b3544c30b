#!/usr/bin/env node
/**
 * The start of the program: signals and exceptions have listeners before the rest is loaded, which takes a while.
 *
 * Invariant: no import declaration but those of the listeners.
 */

import { listenForExceptions, loading } from './process/exceptions.ts';
import { listenForSignals } from './process/signals.ts';

listenForSignals();
listenForExceptions();
const { run } = await loading(() => import('./program.ts'));
process.exitCode = await run(process.argv);
// Whoever started this process may hold a channel to it; hearing that close must not keep it alive.
process.channel?.unref();
