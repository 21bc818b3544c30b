/**
 * How the course of a transfer is told: with --json to scripts, with --quiet to nobody, else to people. How far it is, is
 * told as --progress says.
 *
 * Results go to the stream that is named, talk to stderr. Failures are not told here: a command throws them.
 */

import type { DownloadEvent, TransferEvent, UploadEvent } from '../../client/transfer-events.ts';
import type { HoplineError } from '../../core/errors.ts';
import type { FetchEvent } from '../../fetch/fetch-options.ts';
import { describeHop, type Hop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { jsonOfError } from './failure.ts';
import { jsonLine, say } from './lines.ts';
import { type Progress, startByteProgress, startConnecting, startProgress } from './progress.ts';
import type { ProgressStyle } from './progress-flag.ts';
import { formatPart, jsonOfResult, sparseNotice, tellDamage, tellReroute } from './show.ts';
import { formatBytes } from './units.ts';

const progressEveryMs = 500;

export interface ReportFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly progress?: ProgressStyle;
}

export interface Report<Event, Result> {
  event(event: Event): void;
  done(result: Result): void;
  /** A line of talk. */
  say(line: string): void;
  stop(): void;
}

export const noReport: Report<unknown, unknown> = { event: () => {}, done: () => {}, say: () => {}, stop: () => {} };

type FileEvent = DownloadEvent | UploadEvent | FetchEvent;

interface Told<Event, Result> {
  /** The fields of the first line for scripts. */
  readonly route?: object;
  /** The last line for scripts: its name, and its fields. */
  readonly result?: (result: Result) => readonly [name: string, fields: object];
  /** The report for people. */
  readonly text: () => Report<Event, Result>;
}

export function createReport<Event extends FetchEvent | TransferEvent, Result>(
  flags: ReportFlags,
  results: NodeJS.WritableStream,
  told: Told<Event, Result>,
): Report<Event, Result> {
  if (!isTold(flags)) return noReport;
  if (!flags.json) return flags.progress === 'json' ? withJsonProgress(told.text()) : told.text();
  const print = startJsonLines(results);
  if (told.route) print('route', told.route);
  return {
    event: (event) => {
      if (event.kind !== 'progress' || flags.progress !== 'none') print(...jsonOf(event));
    },
    done: (result) => told.result && print(...told.result(result)),
    say: (message) => print('notice', { message }),
    stop: () => {},
  };
}

/** Whether anybody is told how it went. */
export function isTold({ json, quiet }: ReportFlags): boolean {
  return json === true || quiet !== true;
}

/** Talk for people, and how far it is for scripts: on stderr, the last time when all has come. */
function withJsonProgress<Event extends FetchEvent | TransferEvent, Result>(
  talk: Report<Event, Result>,
): Report<Event, Result> {
  const print = startJsonLines(process.stderr);
  let untold: Event | undefined;
  return {
    ...talk,
    event: (event) => {
      talk.event(event);
      if (event.kind === 'progress') untold = print(...jsonOf(event)) ? undefined : event;
    },
    done: (result) => {
      if (untold) process.stderr.write(jsonLine({ event: 'progress', ...jsonOf(untold)[1] }));
      talk.done(result);
    },
  };
}

interface FileWords<Result> {
  /** The hops to connect to. */
  readonly route?: RoutePlan['routes'][number] | undefined;
  /** How progress is told. */
  readonly progress?: ProgressStyle | undefined;
  /** Where a file goes. */
  readonly where: 'here' | 'there';
  /** What is done about a damaged piece. */
  readonly again?: string;
  /** Behind the news that a hop speaks the classic dialect only. */
  readonly fallback?: string;
  /** All of it was kept, and yet the transfer failed. */
  readonly keptAll?: (size: string) => string;
  /** What is printed in the end. */
  readonly formatResult: (result: Result) => string;
}

/** The report of one file for people. */
export function createFileTalk<Result>(
  words: FileWords<Result>,
  results: NodeJS.WritableStream,
): Report<FileEvent, Result> {
  const { route, where, formatResult } = words;
  let progress = startConnecting(route);
  const tell = (event: FileEvent) => {
    switch (event.kind) {
      case 'head':
        break;
      case 'started':
        progress.stop();
        tellStart(event, where);
        progress = progressOf(event, route?.length ?? 0, words.progress);
        break;
      case 'progress':
        progress.update(event.bytes);
        break;
      case 'retry':
        progress.say(
          'failure' in event ? tellReroute(event) : tellDamage(`piece ${event.piece + 1}`, event, words.again),
        );
        break;
      case 'reroute':
        progress.say(tellReroute(event));
        break;
      case 'fallback':
        progress.stop();
        say(`${event.failure.message}; ${words.fallback}`);
        break;
      default:
        progress.stop();
        say(tellKept(event, words));
    }
  };
  return {
    event: tell,
    done: (result) => {
      progress.stop();
      results.write(formatResult(result));
    },
    say: (line) => progress.say(line),
    stop: () => progress.stop(),
  };
}

type Started = Extract<FileEvent, { kind: 'started' }>;

function tellStart(event: Started, where: string): void {
  const { size, leftBytes } = event;
  if ('reservation' in event && event.reservation === 'sparse') say(sparseNotice);
  if ('restarted' in event && event.restarted) say('the file changed at the origin; starting over');
  if (leftBytes > 0 && leftBytes !== size) say(`going on: ${formatPart(leftBytes, size)} are ${where}`);
}

function progressOf({ size, leftBytes }: Started, hops: number, style: ProgressStyle | undefined): Progress {
  return size === undefined ? startByteProgress(style) : startProgress(size, hops, leftBytes, style);
}

function tellKept<Result>(event: Extract<FileEvent, { kind: 'kept' }>, words: FileWords<Result>): string {
  const size = 'size' in event ? event.size : undefined;
  if (event.bytes === size && words.keptAll) return words.keptAll(formatBytes(size));
  const place = words.where === 'there' ? ' at the origin' : '';
  return `kept ${formatPart(event.bytes, size)}${place}; the same command goes on from there`;
}

/** Prints events as JSON, an object a line; `progress` only now and then, and tells whether it did. */
function startJsonLines(stream: NodeJS.WritableStream): (event: string, fields: object) => boolean {
  let due = 0;
  return (event, fields) => {
    const now = performance.now();
    if (event === 'progress' && now < due) return false;
    if (event === 'progress') due = now + progressEveryMs;
    stream.write(jsonLine({ event, ...fields }));
    return true;
  };
}

/** An event for scripts, with hops and failures written out; what became of one of several files as `done` or `error`. */
function jsonOf(event: FetchEvent | TransferEvent): readonly [name: string, fields: object] {
  if (event.kind === 'settled') {
    const { file, result, error } = event;
    return result ? ['done', { file, ...jsonOfResult(result) }] : ['error', { file, ...jsonOfError(error) }];
  }
  const { kind, ...fields } = event;
  const { failure, hops, from, to, ...rest } = fields as Foreign;
  const { code, message, hop, reason } = failure ?? {};
  const [over, before, after] = [hops, from, to].map((each) => each?.map(describeHop));
  const written = { code, message, hop, reason, hops: over, from: before, to: after };
  return [kind === 'listed' ? 'listing' : kind, { ...rest, ...written }];
}

/** What JSON would not show as it is read. */
interface Foreign {
  readonly failure?: HoplineError;
  readonly hops?: readonly Hop[];
  readonly from?: readonly Hop[];
  readonly to?: readonly Hop[];
}
