/**
 * Fetches one URL, as a user wants it: with what is here already, tries, and the content in its place.
 *
 * Owns tries, what an earlier run left, and where content goes. Does not know how an answer comes about, nor where redirects lead.
 * Invariant: a file gets its name only if the answer was a success and is whole;
 * nothing that a stream has been given is fetched again.
 * Rules: docs/http/client.md
 */

import { type Clock, elapsedSince, pause, systemClock, withDeadline } from '../core/clock.ts';
import { asHoplineError, type ErrorCode, HoplineError } from '../core/errors.ts';
import { refuseUnknown } from '../core/failure/known-names.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { toAbortSignal } from '../core/signal.ts';
import { readBody } from '../http/body.ts';
import { dropBody, type HttpAnswer } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { parseHttpUrl } from '../http/http-url.ts';
import type { RedirectedRequest } from '../http/redirect.ts';
import { strongValidator } from '../http/representation/conditions.ts';
import { WholeDigest } from '../io/digests/whole-digest.ts';
import type { Target } from '../io/disk/writing/target.ts';
import { createFileTarget } from '../io/disk/writing/target-place.ts';
import { formatHop } from '../wire/address.ts';
import { type FetchEvent, type FetchOptions, type FetchResult, fetchNames } from './fetch-options.ts';
import { openExchange } from './open-exchange.ts';
import { type Answered, Asker, passingStatuses, statusError } from './redirects.ts';
import { continues, findLeft, type Left, rangeAfter, saveBody, writeAll } from './save.ts';

/** The longest that a timer takes. */
const maxTimerMs = 2 ** 31 - 1;
/** Asking twice does the same as asking once: RFC 9110, 9.2.2. */
const repeatable = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];
const passing: readonly ErrorCode[] = [
  'PEER_UNRESOLVED',
  'PEER_UNREACHABLE',
  'PEER_LOST',
  'TIMEOUT_CONNECT',
  'TIMEOUT_HEAD',
  'TIMEOUT_IDLE',
];

/**
 * Fetches `url`. Throws `HTTP_CLIENT_ERROR` and `HTTP_SERVER_ERROR` for an answer from 400 on once its content has been given
 * to the stream; `HTTP_REDIRECT`, `USAGE_INVALID`, and what connections and disks do.
 */
export async function fetchUrl(url: string, options: FetchOptions): Promise<FetchResult> {
  refuseUnknown(options, { by: 'fetchUrl', names: fetchNames });
  const { signal, deadlineMs = maxTimerMs, clock = systemClock } = options;
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new HoplineError('INTERRUPTED', 'interrupted'));
  if (signal?.aborted) interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  const late = () => new HoplineError('TIMEOUT_DEADLINE', `the fetch took longer than ${deadlineMs / 1000} s`);
  return withDeadline({ clock, ms: deadlineMs, late, outer: interrupted.signal }, (due) =>
    new Fetch(url, options, clock, toAbortSignal(due)).run(),
  ).finally(() => signal?.removeEventListener('abort', interrupt));
}

class Fetch {
  readonly #options: FetchOptions;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #limits: Limits;
  readonly #startedMs: number;
  readonly #asked: RedirectedRequest;
  readonly #asker: Asker;
  readonly #whole: WholeDigest | undefined;
  #target: Target | undefined;
  #streamedBytes = 0;

  constructor(url: string, options: FetchOptions, clock: Clock, signal: AbortSignal) {
    const { method, fields = [], body, checksum } = options;
    this.#whole = checksum && new WholeDigest(checksum);
    const hasBody = body !== undefined;
    this.#options = options;
    this.#clock = clock;
    this.#signal = signal;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#startedMs = clock.now();
    this.#asked = { method: method ?? (hasBody ? 'POST' : 'GET'), url: parseHttpUrl(url), fields, hasBody };
    const onPassed = (answered: Answered) => this.#tellHead(answered, false);
    this.#asker = new Asker(openExchange(options, this.#limits, clock), { ...options, signal, onPassed });
  }

  /** Tries until there is an answer, or nothing that could help. */
  async run(): Promise<FetchResult> {
    const { retry = 0 } = this.#options;
    this.#target = await this.#openTarget();
    const { method } = this.#asked;
    let { retryMinMs: waitMs } = this.#limits;
    for (let left = repeatable.includes(method) ? retry : 0; ; left -= 1) {
      try {
        return await this.#try(left > 0);
      } catch (error) {
        const failure = asHoplineError(this.#signal.aborted ? this.#signal.reason : error);
        const isOver = left === 0 || !mayPass(failure) || this.#streamedBytes > 0;
        // No part of it has a digest of its own, so whatever is wrong would stay.
        if (failure.code === 'HASH_MISMATCH') await this.#target?.discard();
        await this.#keep(isOver);
        if (isOver) throw failure;
        this.#tell({ kind: 'retry', failure, waitMs });
        await pause(this.#clock, waitMs, this.#signal);
        waitMs = Math.min(waitMs * 2, this.#limits.retryMaxMs);
      }
    }
  }

  async #openTarget(): Promise<Target | undefined> {
    const { path, force = false } = this.#options;
    if (path === undefined) return undefined;
    const stream = { signal: this.#signal, maxPiecesEarly: this.#limits.maxReadsAhead };
    const options = { force, signal: this.#signal, stream };
    return createFileTarget(path, this.#asked.url.name, this.#whole ? { ...options, whole: this.#whole } : options);
  }

  /** One try, from what is here already to the content in its place; `mayRetry` where another may follow it. */
  async #try(mayRetry: boolean): Promise<FetchResult> {
    const { method, url, fields } = this.#asked;
    const mayResume = method === 'GET' && fieldValue(fields, 'range') === undefined;
    const left = mayResume && this.#target ? await findLeft(this.#target, url.href) : undefined;
    let answered = await this.#asker.ask(this.#asked, rangeAfter(left), mayRetry);
    const isStale = left !== undefined && !isWhole(answered.answer) && !continues(answered.answer, left);
    if (isStale) {
      await dropBody(answered.answer.body);
      this.#tellHead(answered, false);
      answered = await this.#asker.ask(this.#asked, [], mayRetry);
    }
    return this.#receive(answered, !isStale && answered.answer.status === 206 ? left : undefined);
  }

  /** Puts the content where it belongs. */
  async #receive(answered: Answered, left: Left | undefined): Promise<FetchResult> {
    const { asked, answer } = answered;
    const { status, fields } = answer;
    const target = status >= 200 && status < 300 && status !== 204 ? this.#target : undefined;
    try {
      this.#tellHead(answered, true, target === undefined);
    } catch (error) {
      await dropBody(answer.body);
      throw error;
    }
    const size = target ? await this.#save(target, asked, answer, left) : await this.#stream(asked, answer);
    if (status >= 300 && status !== 304) throw statusError(asked.url.href, answer);
    // What an earlier run left stays, if this was no answer with content to save.
    await this.#target?.keep();
    const type = fieldValue(fields, 'content-type');
    return {
      url: asked.url.href,
      status,
      ...(type === undefined ? {} : { type }),
      size,
      path: target?.path ?? null,
      replaced: target?.replaces ?? false,
      resumedBytes: left?.offset ?? 0,
      digest: this.#whole?.digest ?? null,
      elapsedMs: elapsedSince(this.#clock, this.#startedMs),
    };
  }

  async #save(target: Target, asked: RedirectedRequest, answer: HttpAnswer, left: Left | undefined): Promise<number> {
    const leftBytes = left?.offset ?? 0;
    const length = contentLength(asked, answer);
    const size = length === undefined ? undefined : leftBytes + length;
    const version = answer.status === 200 ? strongValidator(answer.fields) : left?.version;
    let arrived = leftBytes;
    let isBegun = false;
    const saved = saveBody(target, this.#read(asked, answer, length), {
      href: this.#asked.url.href,
      size,
      pieceBytes: this.#limits.pieceBytes,
      version,
      left,
      onBegun: (reservation) => {
        isBegun = true;
        this.#tell({ kind: 'started', leftBytes, reservation, size });
      },
      onBytes: (bytes) => {
        arrived = bytes;
        // What a FIFO or a device was given cannot be taken back.
        if (target.maxPiecesEarly !== undefined) this.#streamedBytes = bytes;
        this.#tell({ kind: 'progress', bytes });
      },
    });
    try {
      await saved;
    } catch (error) {
      // Nobody has begun to read, so nobody ends the connection either.
      if (!isBegun) await dropBody(answer.body);
      throw error;
    }
    return arrived;
  }

  async #stream(asked: RedirectedRequest, answer: HttpAnswer): Promise<number> {
    const length = contentLength(asked, answer);
    const whole = answer.status >= 200 && answer.status < 300 ? this.#whole : undefined;
    whole?.begin({ size: length, pieceBytes: this.#limits.pieceBytes, algorithm: undefined });
    this.#tell({ kind: 'started', leftBytes: 0, reservation: 'none', size: length });
    for await (const chunk of this.#read(asked, answer, length)) {
      whole?.take(this.#streamedBytes, [{ bytes: chunk }]);
      await writeAll(this.#options.stream, chunk, this.#signal);
      this.#streamedBytes += chunk.length;
      this.#tell({ kind: 'progress', bytes: this.#streamedBytes });
    }
    await whole?.finish(this.#streamedBytes);
    return this.#streamedBytes;
  }

  #read({ url }: RedirectedRequest, answer: HttpAnswer, length: number | undefined): AsyncGenerator<Buffer, void> {
    const { stallMs } = this.#limits;
    return readBody(answer, { clock: this.#clock, peer: formatHop(url), stallMs, length, signal: this.#signal });
  }

  async #keep(isOver: boolean): Promise<void> {
    const bytes = (await this.#target?.keep()) ?? 0;
    if (isOver && bytes > 0) this.#tell({ kind: 'kept', bytes });
  }

  #tellHead({ asked, answer, notes }: Answered, isFinal: boolean, isStreamed = false): void {
    const { status, reason, fields } = answer;
    const { method, url } = asked;
    const { cache } = notes;
    this.#tell({ kind: 'head', isFinal, method, url: url.href, status, reason, fields, isStreamed, cache });
  }

  #tell(event: FetchEvent): void {
    this.#options.onEvent?.(event);
  }
}

function mayPass({ code, reason }: HoplineError): boolean {
  return passing.includes(code) || (code === 'HTTP_SERVER_ERROR' && passingStatuses.includes(Number(reason)));
}

/** An answer that does not depend on what is here: all of the file, or none. */
function isWhole({ status }: HttpAnswer): boolean {
  return status !== 206 && status !== 416;
}

/** Bytes of content that the answer announces. */
function contentLength({ method }: RedirectedRequest, { status, fields }: HttpAnswer): number | undefined {
  const length = fieldValue(fields, 'content-length');
  if (length === undefined || fieldValue(fields, 'transfer-encoding') !== undefined) return undefined;
  if (method === 'HEAD' || status === 204 || status === 304) return undefined;
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
