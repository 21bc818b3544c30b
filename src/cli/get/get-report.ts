/** What is shown of one download: for people, for scripts, or nothing but errors. */

import path from 'node:path';
import type { DownloadResult } from '../../client/download-result.ts';
import type { DownloadEvent } from '../../client/transfer-events.ts';
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
  sparseNotice,
  startJsonLines,
  tellReroute,
} from '../terminal/show.ts';
import { formatBytes, formatRate } from '../terminal/units.ts';

interface Report {
  event(event: DownloadEvent): void;
  done(result: DownloadResult): void;
  stop(): void;
}

interface ReportFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly checksum?: object;
}

/** Results go to `results`, talk to stderr. */
export function createReport(route: RoutePlan, flags: ReportFlags, results: NodeJS.WritableStream): Report {
  if (flags.json) return createJsonReport(route, results);
  if (flags.quiet) return { event: () => {}, done: () => {}, stop: () => {} };
  return createTextReport(route, results, flags.checksum !== undefined);
}

function createJsonReport({ file, routes }: RoutePlan, stream: NodeJS.WritableStream): Report {
  const print = startJsonLines(stream);
  print('route', { file, routes: jsonOfRoutes(routes) });
  return {
    event: (event) => print(event.kind, jsonOf(event)),
    done: (result) =>
      print('done', { ...result, hops: result.hops.map(describeHop), bytesPerSecond: perSecond(result) }),
    stop: () => {},
  };
}

function createTextReport(route: RoutePlan, results: NodeJS.WritableStream, hasChecksum: boolean): Report {
  let progress: Progress = startConnecting(route.routes[0]);
  const classicNotice = `nothing ${hasChecksum ? 'but --checksum ' : ''}can be verified`;
  const tell = (event: DownloadEvent) => {
    switch (event.kind) {
      case 'started':
        progress.stop();
        if (event.reservation === 'sparse') say(sparseNotice);
        if (event.restarted) say('the file changed at the origin; starting over');
        if (event.leftBytes > 0 && event.leftBytes < event.size)
          say(`going on: ${formatPart(event.leftBytes, event.size)} are here`);
        progress = startProgress(event.size, route.routes[0]?.length ?? 0, event.leftBytes);
        break;
      case 'progress':
        progress.update(event.bytes);
        break;
      case 'retry': {
        const where = describeHops(event.hops);
        progress.say(`piece ${event.piece + 1} was damaged on ${where}; asking again (${event.attempt})`);
        break;
      }
      case 'reroute':
        progress.say(tellReroute(event));
        break;
      case 'fallback':
        progress.stop();
        say(`${event.failure.message}; ${classicNotice}`);
        break;
      default:
        progress.stop();
        say(keptLine(event.bytes, event.size));
    }
  };
  return {
    event: tell,
    done: (result) => {
      progress.stop();
      results.write(formatResult(route, result, hasChecksum));
    },
    stop: () => progress.stop(),
  };
}

/** What failed when all of it was here, such as its checksum, fails again: no more is promised than that nothing is fetched twice. */
function keptLine(bytes: number, size: number): string {
  if (bytes === size) return `kept all ${formatBytes(size)}; another run fetches none of it again`;
  return `kept ${formatPart(bytes, size)}; the same command goes on from there`;
}

function formatResult(route: RoutePlan, result: DownloadResult, hasChecksum: boolean): string {
  const { size, elapsedMs, resumedBytes, reroutes } = result;
  const where = result.path === null ? 'stdout' : path.relative('', result.path) || result.path;
  const pieces = result.pieces === 1 ? 'the only piece' : `all ${result.pieces} pieces`;
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} of it from an earlier run` : '';
  return formatRows([
    ['route', `${describeRoutes(route.routes)}${describeTaken(result.hops)}${describeReroutes(reroutes)}`],
    result.alreadyHere
      ? ['here', `${where} (already here; nothing was fetched)`]
      : ['saved', `${where}${result.replaced ? ' (replaced the earlier one)' : ''}`],
    ['size', `${formatBytes(size)} (${size} bytes)${result.alreadyHere ? '' : resumed}`],
    ...rowsOfDigest(result),
    ['speed', `${formatRate(size - resumedBytes, elapsedMs)}, ${(elapsedMs / 1000).toFixed(2)} s`],
    result.verified
      ? rowOfProof(size === 0 ? 'the file is empty' : pieces, [result])
      : ['verified', `${hasChecksum ? 'by --checksum alone' : 'no'}, the classic dialect has no digests`],
  ]);
}
