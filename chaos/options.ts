/** What a run is asked to do. */

import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type FaultKind, faultKinds } from './faults.ts';
import { scenarios } from './scenarios.ts';

/** All rounds with keys, none, or those that chance picks. */
const securityChoices = ['on', 'off', 'mixed'] as const;
export type SecurityChoice = (typeof securityChoices)[number];

export interface Settings {
  readonly rounds: number;
  /** Of the first round; each further has the next number. */
  readonly seed: number;
  /** The only scenario to play, undefined for all. */
  readonly only: string | undefined;
  /** The only fault to strike, undefined for all. */
  readonly fault: FaultKind | undefined;
  /** Which rounds have keys. */
  readonly security: SecurityChoice;
  readonly concurrency: number;
  readonly json: string | undefined;
  readonly scratch: string;
}

const maxSeed = 2 ** 32 - 1;

export function readSettings(argv: readonly string[], anySeed: () => number): Settings {
  const program = new Command('npm run chaos --')
    .description('Plays rounds of transfers under faults on this machine, and says whether anything went wrong.')
    .option('--rounds <N>', 'how many', parseWhole, 20)
    .option('--seed <S>', 'of the first round; each further has the next number (default: by chance)', parseWhole)
    .option('--only <SCENARIO>', scenarios.map(({ name }) => name).join(', '))
    .option('--fault <KIND>', Object.keys(faultKinds).join(', '))
    .addOption(new Option('--security <CHOICE>', 'which rounds have keys').choices(securityChoices).default('mixed'))
    .option('--concurrency <N>', 'rounds at once', parseWhole, 3)
    .option('--json <FILE>', 'write everything about every round there')
    .option('--scratch <DIR>', 'where files are served from and written to', tmpdir())
    .parse([...argv], { from: 'user' });
  const given = program.opts<Partial<Settings>>();
  if (given.only !== undefined && !scenarios.some(({ name }) => name === given.only)) {
    program.error(`unknown scenario: ${given.only}`);
  }
  if (given.fault !== undefined && !(given.fault in faultKinds)) program.error(`unknown fault: ${given.fault}`);
  return {
    rounds: given.rounds ?? 0,
    seed: given.seed ?? anySeed(),
    only: given.only,
    fault: given.fault,
    security: given.security ?? 'mixed',
    concurrency: Math.min(64, Math.max(1, given.concurrency ?? 1)),
    json: given.json,
    scratch: given.scratch ?? tmpdir(),
  };
}

function parseWhole(text: string): number {
  const number = Number(text);
  if (!/^\d{1,10}$/.test(text) || number > maxSeed) throw new InvalidArgumentError('Expected a whole number.');
  return number;
}
