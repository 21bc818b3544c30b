/** What is shown of one download. */

import path from 'node:path';
import type { DownloadResult } from '../../client/download-result.ts';
import type { DownloadEvent } from '../../client/transfer-events.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { formatRows } from '../terminal/lines.ts';
import { createFileTalk, createReport, type Report, type ReportFlags } from '../terminal/report.ts';
import {
  describePieces,
  describeReplacement,
  jsonOfResult,
  jsonOfRoutes,
  perSecond,
  rowOfProof,
  rowOfRoutes,
  rowOfSize,
  rowOfSpeed,
  rowsOfDigest,
} from '../terminal/show.ts';

interface GetReportFlags extends ReportFlags {
  readonly checksum?: object;
}

/** Results go to `results`. */
export function createGetReport(
  { file, routes }: RoutePlan,
  flags: GetReportFlags,
  results: NodeJS.WritableStream,
): Report<DownloadEvent, DownloadResult> {
  const hasChecksum = flags.checksum !== undefined;
  const words = {
    route: routes[0],
    where: 'here',
    progress: flags.progress,
    fallback: `nothing ${hasChecksum ? 'but --checksum ' : ''}can be verified`,
    // What failed when all of it was here, such as its checksum, fails again: no more is promised than this.
    keptAll: (size: string) => `kept all ${size}; another run fetches none of it again`,
    formatResult: (result: DownloadResult) => formatDownload(routes, result, hasChecksum),
  } as const;
  return createReport(flags, results, {
    route: { file, routes: jsonOfRoutes(routes) },
    result: (result) => ['done', { ...jsonOfResult(result), bytesPerSecond: perSecond(result) }],
    text: () => createFileTalk(words, results),
  });
}

function formatDownload(routes: RoutePlan['routes'], result: DownloadResult, hasChecksum: boolean): string {
  const where = result.path === null ? 'stdout' : path.relative('', result.path) || result.path;
  return formatRows([
    rowOfRoutes(routes, result),
    result.alreadyHere
      ? ['here', `${where} (already here; nothing was fetched)`]
      : ['saved', `${where}${describeReplacement(result)}`],
    rowOfSize(result.size, result.alreadyHere ? 0 : result.resumedBytes),
    ...rowsOfDigest(result),
    ...(result.alreadyHere ? [] : [rowOfSpeed(result)]),
    result.verified
      ? rowOfProof(describePieces(result), [result], { wasThere: result.alreadyHere })
      : ['verified', `${hasChecksum ? 'by --checksum alone' : 'no'}, the classic dialect has no digests`],
  ]);
}
