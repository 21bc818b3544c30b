/** `npm run bench`: runs the scenarios that were asked for, and reports. bench/README.md */

import { Content } from './content.ts';
import type { Bench } from './measure.ts';
import { readSettings, type ScenarioName } from './options.ts';
import { Fleet } from './processes.ts';
import { report } from './report.ts';
import { runChain } from './scenarios/chain.ts';
import { runCircuits } from './scenarios/circuits.ts';
import { runConcurrency } from './scenarios/concurrency.ts';
import { runGrowth } from './scenarios/growth.ts';
import { runHandshakes } from './scenarios/handshakes.ts';
import { runHttp } from './scenarios/http.ts';
import { runLatency } from './scenarios/latency.ts';
import { runMessages } from './scenarios/messages.ts';
import { runSmall } from './scenarios/small.ts';

const scenarios: Readonly<Record<ScenarioName, (bench: Bench, content: Content) => Promise<void>>> = {
  chain: runChain,
  small: runSmall,
  circuits: runCircuits,
  concurrency: runConcurrency,
  latency: runLatency,
  growth: runGrowth,
  messages: runMessages,
  http: runHttp,
  handshakes: runHandshakes,
};

const started = new Date();
const settings = readSettings(process.argv.slice(2));
const fleet = new Fleet(settings.scratch, 'hopline-bench-');
const bench: Bench = { settings, fleet, samples: [], absent: [] };
const content = new Content(fleet.directory);
for (const name of settings.scenarios) await scenarios[name](bench, content);
report(bench, started);
process.exit(0);
