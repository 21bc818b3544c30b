/** What is shown of one fetch, besides its content. */

import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { escapeText } from '../../core/text.ts';
import type { FetchEvent, FetchHead, FetchResult } from '../../fetch/fetch-options.ts';
import { fieldPairs, fieldValue } from '../../http/fields.ts';
import { formatRows } from '../terminal/lines.ts';
import { createFileTalk, createReport, type Report, type ReportFlags } from '../terminal/report.ts';
import { describeReplacement, rowOfSize, rowOfSpeed } from '../terminal/show.ts';

interface FetchReportFlags extends ReportFlags {
  readonly include?: boolean;
  readonly output?: string;
}

/** What is not saved goes to `content`. Results go to stdout beside a file, else to stderr with `--json`. */
export function createFetchReport(
  { include, output, ...flags }: FetchReportFlags,
  content: NodeJS.WriteStream,
  isHead: boolean,
): Report<FetchEvent, FetchResult> {
  let verdict: string | undefined;
  const words = {
    where: 'here',
    // A bar over the content itself would help nobody.
    progress:
      flags.progress ?? (output !== undefined || (process.stderr.isTTY && !process.stdout.isTTY) ? undefined : 'none'),
    formatResult: (result: FetchResult) => formatFetch(result, output !== undefined, verdict),
  } as const;
  const report = createReport<FetchEvent, FetchResult>(flags, output === undefined ? process.stderr : process.stdout, {
    result: (result) => ['done', result],
    text: () => createFileTalk(words, process.stdout),
  });
  const look = (head: FetchHead & { readonly isFinal: boolean }) => {
    verdict = head.cache;
    if (include || isHead) content.write(formatHead(head));
    if (head.isFinal && head.isStreamed && !isHead && content.isTTY) refuseBinary(head);
  };
  const event = (told: FetchEvent) => {
    if (told.kind === 'head') look(told);
    report.event(told);
  };
  return { ...report, event };
}

function formatHead({ status, reason, fields }: FetchHead): string {
  const lines = [`HTTP/1.1 ${status} ${reason}`, ...fieldPairs(fields).map(([name, value]) => `${name}: ${value}`)];
  return `${lines.map(escapeText).join('\n')}\n\n`;
}

/** A terminal would take binary content for commands. */
function refuseBinary({ url, fields, status }: FetchHead): void {
  if (status === 204 || status === 304) return;
  const type = fieldValue(fields, 'content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type === undefined || /^text\/|[/+](json|xml|javascript|x-www-form-urlencoded|yaml)$/.test(type)) return;
  throw new HoplineError('USAGE_INVALID', `${url} is ${type}, which is not for a terminal: write it to a file with -o`);
}

/** Nothing where the content itself is the result. */
function formatFetch(result: FetchResult, isForFile: boolean, cache: string | undefined): string {
  const { url, status, path: file } = result;
  if (file !== null) return formatSaved(result, file, cache);
  return isForFile
    ? formatRows([
        ['url', url],
        ['saved', `nothing: status ${status} has no content`],
      ])
    : '';
}

function formatSaved(result: FetchResult, file: string, cache: string | undefined): string {
  const { url, type, digest } = result;
  return formatRows([
    ['url', url],
    ['saved', `${path.relative('', file) || file}${describeReplacement(result)}`],
    rowOfSize(result.size, result.resumedBytes),
    ['type', type ?? 'not told'],
    ...(digest === null ? [] : [['digest', `${digest.algorithm} ${digest.hex}, as --checksum says`] as const]),
    ...(cache === undefined ? [] : [['cache', cache] as const]),
    rowOfSpeed(result),
  ]);
}
