/**
 * What a transfer tells while it runs: a download of one file or of many, a directory, an upload.
 *
 * Whatever happens is made an event where it happens, and goes up to `onEvent` as it is; of several files, each with its file.
 * Documentation: docs/library/overview.md
 */

import type { HoplineError } from '../core/errors.ts';
import type { Reservation } from '../io/disk/writing/target.ts';
import type { Hop } from '../wire/address.ts';
import type { AnswerOf } from '../wire/native/messages.ts';
import type { FileOutcome } from './download-result.ts';
import type { UploadResult } from './upload-result.ts';

/** The space is reserved; again, with `restarted`, when the file has changed. */
export interface StartedEvent {
  readonly kind: 'started';
  /** Bytes. */
  readonly size: number;
  readonly reservation: Reservation;
  /** Bytes that an earlier run has left and that need not be fetched. */
  readonly leftBytes: number;
  readonly restarted: boolean;
}

/** A piece was damaged somewhere on these hops and goes over them again. */
export interface RetryEvent {
  readonly kind: 'retry';
  readonly piece: number;
  readonly attempt: number;
  readonly hops: readonly Hop[];
}

/** A circuit failed and another takes its place. */
export interface Reroute {
  /** What happened, with the hop named where that is known. */
  readonly failure: HoplineError;
  readonly from: readonly Hop[];
  readonly to: readonly Hop[];
  /** Milliseconds until it is tried. */
  readonly waitMs: number;
}

export interface RerouteEvent extends Reroute {
  readonly kind: 'reroute';
}

/** Of one file: `progress` as content arrives or, of an upload, is acknowledged; `kept` when it failed, for the next run. */
interface PartEvent<Kind extends 'progress' | 'kept'> {
  readonly kind: Kind;
  readonly bytes: number;
  readonly size: number;
}

/** A hop speaks the classic dialect only, as `failure` says; all that follows is in that, over these hops. */
interface FallbackEvent {
  readonly kind: 'fallback';
  readonly failure: HoplineError;
  readonly hops: readonly Hop[];
}

/** Of all files together, and how many are done or failed. */
interface FilesProgressEvent {
  readonly kind: 'progress';
  readonly bytes: number;
  readonly settled: number;
}

interface OfFile {
  readonly file: string;
}

interface ListedEvent extends TreeCounts {
  readonly kind: 'listed';
}

/** What is in a tree, and what of it is here. */
export interface TreeCounts {
  readonly directories: number;
  readonly files: number;
  /** Bytes, of all files. */
  readonly size: number;
  /** Files that are here, with the same size and time. */
  readonly unchanged: number;
  /** Files and bytes to fetch; those that may not be replaced are not among them. */
  readonly due: { readonly files: number; readonly size: number };
  /** They are not followed, and not made. */
  readonly links: readonly TreeLink[];
  /** Sockets, devices and the like, which are not made either. */
  readonly others: number;
  /** Missing from the listing. */
  readonly skipped: SkippedEntries;
}

/** What is in a directory here, and what of it an origin has. */
export interface UploadTreeCounts {
  readonly files: number;
  /** Bytes, of all files. */
  readonly size: number;
  /** Files that the origin has, with the same content. */
  readonly unchanged: number;
  /** Files and bytes to send. */
  readonly due: { readonly files: number; readonly size: number };
  /** What is here and is never sent: empty directories, links, sockets and devices, files of unfinished transfers. */
  readonly leftOut: Readonly<Record<'empty' | 'links' | 'others' | 'unfinished', number>>;
}

export interface TreeLink {
  readonly path: string;
  /** Where it points, in the origin's words: for people to read. */
  readonly target: string;
}

/** Entries that the origin has and did not list. */
export type SkippedEntries = NonNullable<AnswerOf<'listing'>['skipped']>;

type UploadStartedEvent = Pick<StartedEvent, 'kind' | 'size' | 'leftBytes'>;

type OnTheWay = PartEvent<'progress'> | PartEvent<'kept'> | RetryEvent | RerouteEvent;

export type DownloadEvent = StartedEvent | FallbackEvent | OnTheWay;

/** What is kept of an upload waits at the origin; if it is all, the file may be in its place. */
export type UploadEvent = UploadStartedEvent | OnTheWay;

export type FilesEvent =
  | (OfFile & (StartedEvent | RetryEvent | PartEvent<'kept'>))
  | FilesProgressEvent
  | RerouteEvent
  | ({ readonly kind: 'settled' } & FileOutcome);

export type TreeEvent = ListedEvent | FilesEvent;

/** As several files that are downloaded. */
export type UploadsEvent =
  | (OfFile & (UploadStartedEvent | RetryEvent | PartEvent<'kept'>))
  | FilesProgressEvent
  | RerouteEvent
  | ({ readonly kind: 'settled' } & FileOutcome<UploadResult>);

/** `listed` comes once, before the first file. */
export type UploadTreeEvent = ({ readonly kind: 'listed' } & UploadTreeCounts) | UploadsEvent;

export type TransferEvent = DownloadEvent | UploadEvent | TreeEvent | UploadsEvent | UploadTreeEvent;
