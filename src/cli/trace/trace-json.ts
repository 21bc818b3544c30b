/** A look at a hop for scripts: one object a hop. */

import { connectOf, type Finding, type HopLook, legOf, roundTripsOf } from '../../client/trace/hop-look.ts';
import { describeHop } from '../../wire/address.ts';
import { jsonOfError } from '../terminal/failure.ts';
import { adviceOf, verdictOf } from './trace-text.ts';

export function jsonOfLook(look: HopLook): object {
  const { route, place, hop, state, pong, key, encrypted, rates, tcp, clock, findings } = look;
  const { software, roles, features, kernel, load, uptimeS } = pong ?? {};
  return {
    route,
    hop: place,
    address: describeHop(hop),
    state,
    verdict: verdictOf(look),
    connectMs: rounded(connectOf(look)),
    rtt: roundedAll(roundTripsOf(look)),
    leg: roundedAll(legOf(look)),
    tcp,
    ...(rates.up === undefined && rates.down === undefined ? {} : { bytesPerSecond: rates }),
    key,
    says: pong?.key,
    encrypted,
    software,
    roles,
    features,
    kernel,
    load,
    uptimeS,
    clock,
    findings: findings.map(jsonOfFinding),
  };
}

function jsonOfFinding(finding: Finding): object {
  const hint = adviceOf(finding);
  if (finding.kind === 'warning') return { kind: finding.kind, message: finding.message, hint };
  return { kind: finding.kind, ...jsonOfError(finding.error), hint };
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 1000) / 1000;
}

function roundedAll(values: object | undefined): object | undefined {
  if (!values) return undefined;
  const entries = Object.entries(values);
  return Object.fromEntries(entries.map(([name, value]) => [name, typeof value === 'number' ? rounded(value) : value]));
}
