/** `npm run chaos`: plays rounds of transfers under faults, and says whether anything went wrong. chaos/README.md */

import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Children } from '../harness/children.ts';
import { lookAround } from './machine.ts';
import { readSettings } from './options.ts';
import { drawPlan, drawScenario } from './plan.ts';
import { formatFailure, formatRound, formatTable } from './report.ts';
import { playRound, type RoundResult } from './round.ts';
import type { Scenario } from './scenarios.ts';

// Rounds are numbered upwards from the seed; some room is kept for that.
const settings = readSettings(process.argv.slice(2), () => randomInt(4_000_000_000));
if (process.platform === 'win32') giveUp('chaos needs signals that stop and continue a process; Windows has none');
const machine = lookAround();
for (const notice of machine.notices) console.error(notice);
const scenarios = machine.scenarios.filter(isAsked).map(withFaultsAsked);
if (scenarios.length === 0) giveUp('what was asked for cannot be played here');

const children = new Children(settings.scratch, 'hopline-chaos-');
console.log(`seeds ${settings.seed} to ${settings.seed + settings.rounds - 1}, ${settings.concurrency} rounds at once`);
const results: RoundResult[] = [];
const failures: string[] = [];
let next = 0;
await Promise.all(Array.from({ length: settings.concurrency }, playRounds));

console.log(`\n${formatTable(results)}`);
if (settings.json !== undefined) writeFileSync(settings.json, JSON.stringify({ settings, results, failures }, null, 2));
for (const again of failures) console.log(`failed: ${again}`);
process.exit(failures.length > 0 ? 1 : 0);

async function playRounds(): Promise<void> {
  while (next < settings.rounds) {
    const place = next++;
    const seed = settings.seed + place;
    const scenario = drawScenario(seed, scenarios);
    const fault = settings.fault === undefined ? '' : ` --fault ${settings.fault}`;
    const security = settings.security === 'mixed' ? '' : ` --security ${settings.security}`;
    const again = `npm run chaos -- --rounds 1 --seed ${seed} --only ${scenario.name}${fault}${security}`;
    try {
      const plan = drawPlan(seed, scenario, machine.absentFaults, machine.keyHolders, settings.security);
      const result = await playRound(plan, children, place, machine.rules);
      results.push(result);
      console.log(formatRound(result));
      if (result.problems.length === 0) continue;
      console.log(formatFailure(result, again));
    } catch (error) {
      console.log(`could not play round ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
    failures.push(again);
  }
}

function isAsked({ name, faults }: Scenario): boolean {
  if (settings.fault !== undefined && !faults.includes(settings.fault)) return false;
  return settings.only === undefined || name === settings.only;
}

function withFaultsAsked(scenario: Scenario): Scenario {
  return settings.fault === undefined ? scenario : { ...scenario, faults: [settings.fault] };
}

function giveUp(reason: string): never {
  console.error(reason);
  process.exit(2);
}
