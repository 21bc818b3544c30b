/** What is shown of one fetch, besides its content: for people, for scripts, or nothing but errors. */

import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { escapeText } from '../../core/text.ts';
import type { FetchEvent, FetchHead, FetchResult } from '../../fetch/fetch-options.ts';
import { formatRows, say } from '../terminal/lines.ts';
import { noProgress, type Progress, startByteProgress, startProgress } from '../terminal/progress.ts';
import { sparseNotice, startJsonLines } from '../terminal/show.ts';
import { formatBytes, formatRate } from '../terminal/units.ts';

interface ReportFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly include?: boolean;
  readonly output?: string;
}

type Look = (head: FetchHead, isFinal: boolean) => void;

export interface FetchReport {
  event(event: FetchEvent): void;
  done(result: FetchResult): void;
  /** A line of talk. */
  say(line: string): void;
  stop(): void;
}

/** Content goes to stdout, or into a file; then results go to stdout, else to stderr with `--json`. */
export function createFetchReport(flags: ReportFlags, isHead: boolean): FetchReport {
  const showsHead = flags.include === true || isHead;
  const look = (head: FetchHead, isFinal: boolean) => {
    if (showsHead) process.stdout.write(formatHead(head));
    if (isFinal && head.isStreamed && !isHead) refuseBinary(head);
  };
  if (flags.json) return createJsonReport(flags, look);
  if (flags.quiet) return createQuietReport(look);
  return createTextReport(flags, look);
}

function createJsonReport({ output }: ReportFlags, look: Look): FetchReport {
  const print = startJsonLines(output === undefined ? process.stderr : process.stdout);
  return {
    event: (event) => {
      if (event.kind === 'head') look(event, event.isFinal);
      const { kind, ...fields } = event;
      if (event.kind !== 'retry') return print(kind, fields);
      const { code, message, reason } = event.failure;
      print(kind, { code, message, reason, waitMs: event.waitMs });
    },
    done: (result) => print('done', result),
    say: (message) => print('notice', { message }),
    stop: () => {},
  };
}

function createQuietReport(look: Look): FetchReport {
  return {
    event: (event) => {
      if (event.kind === 'head') look(event, event.isFinal);
    },
    done: () => {},
    say: () => {},
    stop: () => {},
  };
}

function createTextReport({ output }: ReportFlags, look: Look): FetchReport {
  let progress: Progress = noProgress;
  let verdict: string | undefined;
  // A bar over the content itself would help nobody.
  const isShown = output !== undefined || (process.stderr.isTTY && !process.stdout.isTTY);
  const tell = (event: FetchEvent) => {
    switch (event.kind) {
      case 'head':
        verdict = event.cache;
        look(event, event.isFinal);
        break;
      case 'started':
        progress.stop();
        if (isShown) progress = start(event);
        break;
      case 'progress':
        progress.update(event.bytes);
        break;
      case 'retry':
        progress.say(`${event.failure.message}; trying again in ${(event.waitMs / 1000).toFixed(1)} s`);
        break;
      default:
        progress.stop();
        say(`kept ${formatBytes(event.bytes)}; the same command goes on from there`);
    }
  };
  return {
    event: tell,
    done: (result) => {
      progress.stop();
      if (result.path !== null) process.stdout.write(formatResult(result, result.path, verdict));
    },
    say: (line) => progress.say(line),
    stop: () => progress.stop(),
  };
}

function start({ size, leftBytes, reservation }: Extract<FetchEvent, { kind: 'started' }>): Progress {
  if (reservation === 'sparse') say(sparseNotice);
  if (leftBytes > 0) say(`going on: ${formatBytes(leftBytes)} are here`);
  return size === undefined ? startByteProgress() : startProgress(size, 0, leftBytes);
}

function formatHead({ status, reason, fields }: FetchHead): string {
  const lines = [`HTTP/1.1 ${status} ${reason}`];
  for (let index = 0; index + 1 < fields.length; index += 2) lines.push(`${fields[index]}: ${fields[index + 1]}`);
  return `${lines.map(escapeText).join('\n')}\n\n`;
}

/** A terminal would take binary content for commands. */
function refuseBinary({ url, fields, status }: FetchHead): void {
  if (!process.stdout.isTTY || status === 204 || status === 304) return;
  const index = fields.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-type');
  const type = (fields[index + 1] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (index < 0 || /^text\/|[/+](json|xml|javascript|x-www-form-urlencoded|yaml)$/.test(type)) return;
  throw new HoplineError('USAGE_INVALID', `${url} is ${type}, which is not for a terminal: write it to a file with -o`);
}

function formatResult(result: FetchResult, file: string, cache: string | undefined): string {
  const { url, size, type, resumedBytes, digest, elapsedMs } = result;
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} of it from an earlier run` : '';
  const where = path.relative('', file) || file;
  return formatRows([
    ['url', url],
    ['saved', `${where}${result.replaced ? ' (replaced the earlier one)' : ''}`],
    ['size', `${formatBytes(size)} (${size} bytes)${resumed}`],
    ['type', type ?? 'not told'],
    ...(digest === null ? [] : [['digest', `${digest.algorithm} ${digest.hex}, as --checksum says`] as const]),
    ...(cache === undefined ? [] : [['cache', cache] as const]),
    ['speed', `${formatRate(size - resumedBytes, elapsedMs)}, ${(elapsedMs / 1000).toFixed(2)} s`],
  ]);
}
