/** What is shown of an upload. */

import type { UploadEvent } from '../../client/transfer-events.ts';
import type { UploadResult } from '../../client/upload-result.ts';
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

/** Results go to stdout. */
export function createPutReport(
  source: string,
  { file, routes }: RoutePlan,
  flags: ReportFlags,
): Report<UploadEvent, UploadResult> {
  const words = {
    route: routes[0],
    where: 'there',
    progress: flags.progress,
    again: 'sending it again',
    keptAll: () => 'all of it is at the origin, and may have its name already; the same command tells',
    formatResult: (result: UploadResult) => formatUpload(source, routes, result),
  } as const;
  return createReport(flags, process.stdout, {
    route: { file, routes: jsonOfRoutes(routes) },
    result: (result) => ['done', { ...jsonOfResult(result), verified: true, bytesPerSecond: perSecond(result) }],
    text: () => createFileTalk(words, process.stdout),
  });
}

function formatUpload(source: string, routes: RoutePlan['routes'], result: UploadResult): string {
  return formatRows([
    rowOfRoutes(routes, result),
    result.alreadyThere
      ? ['there', `${result.file} (already there, the same as ${source}; nothing was sent)`]
      : ['sent', `${source} as ${result.file}${describeReplacement(result)}`],
    rowOfSize(result.size, result.alreadyThere ? 0 : result.resumedBytes),
    ...rowsOfDigest(result),
    ...(result.alreadyThere ? [] : [rowOfSpeed(result)]),
    rowOfProof(describePieces(result), [result], { wasThere: result.alreadyThere }),
  ]);
}
