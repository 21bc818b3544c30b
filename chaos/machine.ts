/** What this machine and this build can do: scenarios and faults that cannot be had are left out, and named. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hoplineCommand } from '../harness/children.ts';
import { defaultLimits, parseRoute } from '../src/index.ts';
import { newKey } from '../src/wire/keys/key.ts';
import type { FaultKind } from './faults.ts';
import type { Rules } from './judge.ts';
import type { KeyHolders } from './plan.ts';
import { type Scenario, scenarios } from './scenarios.ts';

export interface Machine {
  readonly scenarios: readonly Scenario[];
  readonly keyHolders: KeyHolders;
  readonly absentFaults: ReadonlySet<FaultKind>;
  readonly rules: Rules;
  /** What is left out and why, a line each. */
  readonly notices: readonly string[];
}

/** Asks the built program for its flags, and the system for its tools. */
export function lookAround(): Machine {
  const help = new Map<string, string>();
  const knows = (need: string) => {
    if (need === 'alternates') return parsesAlternates();
    const [command = '', flag] = need.split(' ');
    if (!help.has(command)) help.set(command, helpOf(command));
    const text = help.get(command) ?? '';
    // Asked for a command that it does not have, the program shows those that it has.
    if (!text.startsWith(`Usage: hopline ${command} `)) return false;
    return flag === undefined || new RegExp(`(^|[\\s,])${flag}\\b`).test(text);
  };
  const notices: string[] = [];
  const possible = scenarios.filter(({ name, needs }) => {
    const missing = needs.filter((need) => !knows(need));
    if (missing.length > 0) notices.push(`scenario ${name} is left out: hopline has no ${missing.join(', ')}`);
    return missing.length === 0;
  });
  const keyHolders = { nodes: knows('node --identity') && parsesKeys(), clients: knows('get --identity') };
  for (const [who, takes] of Object.entries(keyHolders)) {
    if (!takes) notices.push(`${who} have no keys: hopline gives them none`);
  }
  const absentFaults = new Set<FaultKind>();
  if (!canLimitFiles()) {
    for (const kind of ['disk-client', 'disk-origin'] as const) absentFaults.add(kind);
    notices.push('faults disk-client and disk-origin are left out: there is no prlimit here');
  }
  if (process.platform !== 'linux') {
    absentFaults.add('cut-power');
    notices.push('fault cut-power is left out: there is no /proc here');
  }
  if (process.platform !== 'linux') notices.push('descriptors left open are not counted: there is no /proc here');
  const rules = { exits: documentedExits(), resumes: knows('get --no-resume'), pieceBytes: defaultLimits.pieceBytes };
  return { scenarios: possible, keyHolders, absentFaults, rules, notices };
}

/** Exit code by error code, from the rows of docs/exit-codes.md. */
function documentedExits(): Map<string, number> {
  const rows = readFileSync('docs/exit-codes.md', 'utf8').matchAll(/^\| `([A-Z_]+)` +\| (\d+) +\|/gm);
  return new Map([...rows].map(([, code = '', exit]) => [code, Number(exit)]));
}

function helpOf(command: string): string {
  const { program, args } = hoplineCommand([command, '--help']);
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

function parsesAlternates(): boolean {
  try {
    parseRoute('file\n127.0.0.1 1 | 127.0.0.1 2\n---\n127.0.0.1 3\n', { source: 'route' });
    return true;
  } catch {
    return false;
  }
}

function parsesKeys(): boolean {
  try {
    const { routes } = parseRoute(`file\n127.0.0.1 1 key=${newKey().key.public.text}\n`, { source: 'route' });
    return routes[0]?.[0]?.[0]?.key !== undefined;
  } catch {
    return false;
  }
}

function canLimitFiles(): boolean {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
