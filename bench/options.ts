/** What a run is asked to do. */

import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';

const scenarioNames = [
  'chain',
  'small',
  'circuits',
  'concurrency',
  'latency',
  'growth',
  'messages',
  'http',
  'handshakes',
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export interface Settings {
  readonly scenarios: readonly ScenarioName[];
  /** Bytes of the file of `chain`, and of all clients together in `concurrency`. */
  readonly size: number;
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly warmups: number;
  readonly relays: readonly number[];
  readonly clients: readonly number[];
  readonly delays: readonly number[];
  readonly files: number;
  readonly circuits: number;
  readonly handshakes: number;
  /** Contenders to run: the beginnings of their names; empty for all. */
  readonly only: readonly string[];
  readonly scratch: string;
  readonly out: string;
  /** Whether the figures become the reference in docs/. */
  readonly publish: boolean;
}

interface Flags extends Omit<Settings, 'scenarios'> {}

export function readSettings(argv: readonly string[]): Settings {
  const program = new Command('npm run bench --')
    .description('Measures hopline against its peers on this machine, over loopback.')
    .argument('[SCENARIO...]', `${scenarioNames.join(', ')} or all`, ['all'])
    .option('--size <SIZE>', 'the file of chain; the sum over clients in concurrency', parseSize, 2 ** 29)
    .option('--sizes <LIST>', 'files of growth', list(parseSize), [2 ** 20, 2 ** 24, 2 ** 27, 2 ** 29])
    .option('--rounds <N>', 'measured runs of each contender', parseCount, 3)
    .option('--warmups <N>', 'runs before them that do not count', parseWhole, 1)
    .option('--relays <LIST>', 'relays of chain and growth', list(parseCount), [1, 4])
    .option('--clients <LIST>', 'clients of concurrency', list(parseCount), [1, 10, 100, 1000])
    .option('--delays <LIST>', 'milliseconds a leg, each way, of latency', list(parseWhole), [0, 20])
    .option('--files <N>', 'files of small', parseCount, 10_000)
    .option('--circuits <N>', 'short circuits of each contender', parseCount, 5000)
    .option('--handshakes <N>', 'handshakes of each kind', parseCount, 10_000)
    .option('--only <LIST>', 'contenders, by the beginning of their names', list(String), [])
    .option('--scratch <DIR>', 'where files are served from and written to', tmpdir())
    .option('--out <DIR>', 'where results and charts go', 'bench/results')
    .option('--publish', 'put results and charts into docs/ too, as the reference', false)
    .parse([...argv], { from: 'user' });
  const asked = program.processedArgs[0] as string[];
  const unknown = asked.find((name) => name !== 'all' && !isScenario(name));
  if (unknown !== undefined) program.error(`unknown scenario: ${unknown}`);
  const scenarios = asked.includes('all') ? scenarioNames : scenarioNames.filter((name) => asked.includes(name));
  return { ...program.opts<Flags>(), scenarios };
}

/** 64K, 256M, 1G: powers of 1024. */
export function formatSize(bytes: number): string {
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))}${['', 'K', 'M', 'G'][power]}`;
}

function isScenario(name: string): name is ScenarioName {
  return scenarioNames.some((known) => known === name);
}

function parseSize(text: string): number {
  const match = /^(\d+)([KMG]?)$/i.exec(text);
  if (!match) throw new InvalidArgumentError('Expected a size, such as 64K, 256M or 1G.');
  return Number(match[1]) * 1024 ** ['', 'K', 'M', 'G'].indexOf((match[2] ?? '').toUpperCase());
}

function parseWhole(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

function parseCount(text: string): number {
  const count = parseWhole(text);
  if (count < 1) throw new InvalidArgumentError('Expected a whole number above 0.');
  return count;
}

function list<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}
