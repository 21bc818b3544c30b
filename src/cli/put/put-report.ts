/** What is shown of an upload: for people, for scripts, or nothing but errors. */

import type { UploadEvent } from '../../client/transfer-events.ts';
import type { UploadResult } from '../../client/upload/upload.ts';
import { describeHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { formatRows, say } from '../terminal/lines.ts';
import { type Progress, startConnecting, startProgress } from '../terminal/progress.ts';
import {
  describeHops,
  describeReroutes,
  describeRoutes,
  describeTaken,
  formatPart,
  jsonOf,
  jsonOfRoutes,
  perSecond,
  rowOfProof,
  rowsOfDigest,
  startJsonLines,
  tellReroute,
} from '../terminal/show.ts';
import { formatBytes, formatRate } from '../terminal/units.ts';

interface Report {
  event(event: UploadEvent): void;
  done(result: UploadResult): void;
  stop(): void;
}

/** Results go to stdout, talk to stderr. */
export function createPutReport(
  source: string,
  route: RoutePlan,
  flags: { readonly json?: boolean; readonly quiet?: boolean },
): Report {
  if (flags.json) return createJsonReport(route);
  if (flags.quiet) return { event: () => {}, done: () => {}, stop: () => {} };
  return createTextReport(source, route);
}

function createJsonReport({ file, routes }: RoutePlan): Report {
  const print = startJsonLines(process.stdout);
  print('route', { file, routes: jsonOfRoutes(routes) });
  return {
    event: (event) => print(event.kind, jsonOf(event)),
    done: (result) =>
      print('done', {
        ...result,
        hops: result.hops.map(describeHop),
        verified: true,
        bytesPerSecond: perSecond(result),
      }),
    stop: () => {},
  };
}

function createTextReport(source: string, route: RoutePlan): Report {
  let progress: Progress = startConnecting(route.routes[0]);
  const tell = (event: UploadEvent) => {
    switch (event.kind) {
      case 'started':
        progress.stop();
        if (event.leftBytes > 0) {
          say(`going on: ${formatPart(event.leftBytes, event.size)} are there`);
        }
        progress = startProgress(event.size, route.routes[0]?.length ?? 0, event.leftBytes);
        break;
      case 'progress':
        progress.update(event.bytes);
        break;
      case 'retry': {
        const where = describeHops(event.hops);
        progress.say(`piece ${event.piece + 1} was damaged on ${where}; sending it again (${event.attempt})`);
        break;
      }
      case 'kept':
        progress.stop();
        say(describeKept(event));
        break;
      default:
        progress.say(tellReroute(event));
    }
  };
  return {
    event: tell,
    done: (result) => {
      progress.stop();
      process.stdout.write(formatResult(source, route, result));
    },
    stop: () => progress.stop(),
  };
}

/** What stays at the origin, and what to do about it. */
function describeKept({ bytes, size }: { readonly bytes: number; readonly size: number }): string {
  if (bytes === size) return 'all of it is at the origin, and may have its name already; the same command tells';
  return `kept ${formatPart(bytes, size)} at the origin; the same command goes on from there`;
}

function formatResult(source: string, route: RoutePlan, result: UploadResult): string {
  const { size, elapsedMs, resumedBytes, reroutes } = result;
  const pieces = result.pieces === 1 ? 'the only piece' : `all ${result.pieces} pieces`;
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} of it in an earlier run` : '';
  const replaced = result.replaced ? ' (replaced the earlier one)' : '';
  return formatRows([
    ['route', `${describeRoutes(route.routes)}${describeTaken(result.hops)}${describeReroutes(reroutes)}`],
    ['sent', `${source} as ${result.file}${replaced}`],
    ['size', `${formatBytes(size)} (${size} bytes)${resumed}`],
    ...rowsOfDigest(result),
    ['speed', `${formatRate(size - resumedBytes, elapsedMs)}, ${(elapsedMs / 1000).toFixed(2)} s`],
    rowOfProof(size === 0 ? 'the file is empty' : pieces, [result]),
  ]);
}
