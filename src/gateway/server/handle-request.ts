/**
 * One request from its parsed head to its answer: checks it, finds its site, and asks the site's exchange.
 *
 * Owns what is refused before any backend hears of it. Sends nothing itself.
 * Invariant: never throws; what goes wrong becomes an answer, with the failure beside it for the log.
 */

import http from 'node:http';
import type { BlockList } from 'node:net';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { type Signal, toAbortSignal } from '../../core/signal.ts';
import type { ExchangeNotes, HttpAnswer, HttpRequest, RawFields } from '../../http/exchange.ts';
import {
  applyRules,
  fieldValue,
  forEachField,
  isNamed,
  listMembers,
  trailerFields,
  without,
} from '../../http/fields.ts';
import { clientOf, isLoop, passedFields, pseudonym, traceOfTunnel } from '../../http/forwarding.ts';
import { checkFraming } from '../../http/framing.ts';
import { type RequestTarget, readTarget } from '../../http/request-target.ts';
import { formatTraceparent } from '../../wire/traceparent.ts';
import { failureAnswer, textAnswer } from './answer.ts';
import { answerItself } from './max-forwards.ts';
import { RequestContent } from './request-content.ts';
import type { Site, Sites } from './sites.ts';

export interface HandleContext {
  readonly sites: Sites;
  readonly trusted: BlockList | undefined;
  readonly limits: Limits;
  /** The gateway's name in Via, in lower case. */
  readonly name: string;
}

/** Of the client's side, for as long as its request lasts. */
export interface Asking {
  /** Aborts when the client is gone. */
  readonly signal: Signal;
  readonly isAhead?: HttpRequest['isAhead'];
  /** Whether the client would go on with another protocol. */
  readonly isUpgrade?: boolean;
  /** Whether the parser has let go of the connection behind the head. */
  readonly isDetached?: boolean;
  readonly inform?: HttpRequest['inform'];
  /** Whether the client sends no content before it is told to, by 100. */
  readonly isHeldBack?: boolean;
  /** Called when there is no use in going on for this client. Aborts the signal. */
  readonly giveUp?: (failure: HoplineError) => void;
  /** Called at once when the request is refused, before anything behind it is looked at. */
  readonly refused?: () => void;
}

export interface Handled {
  readonly answer: HttpAnswer;
  readonly notes: ExchangeNotes;
  /** The `host` of the site. */
  readonly site?: string | undefined;
  /** The address of whoever asks, as far as it can be trusted. */
  readonly client: string;
  /** Who logged in with a password. */
  readonly user?: string | undefined;
  readonly trace?: string | undefined;
  readonly failure?: HoplineError | undefined;
  /** What may still come of the request, to be dropped behind the answer. */
  readonly content?: RequestContent | undefined;
}

/** Answers a request. Whoever gets the answer sends it. */
export function handleRequest(request: http.IncomingMessage, asking: Asking, context: HandleContext): Promise<Handled> {
  const { rawHeaders: fields, method = '' } = request;
  const peer = plainAddress(request.socket.remoteAddress);
  const scheme = 'encrypted' in request.socket ? 'https' : 'http';
  const isOldest = request.httpVersion === '1.0';
  const refused = (status: number, text: string, more: RawFields = []): Promise<Handled> => {
    // Where a request that is not understood ends is not known either.
    asking.refused?.();
    const answer = textAnswer(status, text, ['Connection', 'close', ...more]);
    return Promise.resolve({ answer, notes: {}, client: peer });
  };
  if (!/^1\.[01]$/.test(request.httpVersion)) return refused(505, 'the gateway speaks HTTP/1.1');
  if (!methods.has(method)) return refused(501, 'there is no such method');
  const wrong = checkFraming({ method, isOldest, fields }, context.limits.maxHttpFields);
  if (wrong) return refused(wrong.status, wrong.why);
  if (asking.isDetached && hasContent(fields)) {
    return refused(501, 'a request to go on with another protocol has no content here');
  }
  const target = readTarget({ method, url: request.url ?? '', isOldest }, fields, scheme);
  if (target.kind === 'refused') return refused(target.status, target.why);
  const site = context.sites.find(target.host);
  if (!site) {
    return target.isForward
      ? refused(403, `requests for ${target.host} are not passed on`)
      : refused(421, `${target.host || 'a request without Host'} is not served here`);
  }
  if (isLoop(fields, context.name))
    return refused(508, 'the request comes round to this gateway again', [
      'Proxy-Status',
      `${pseudonym}; error=proxy_loop_detected`,
    ]);
  const found = { site, target, peer, asking, context };
  return method === 'CONNECT' ? connect(fields, found, refused) : exchange(request, found);
}

/** The parser knows methods of other protocols as well, and takes RTSP/1.0 for a version of HTTP. */
const methods: ReadonlySet<string> = new Set(http.METHODS);

interface Found {
  readonly site: Site;
  readonly target: RequestTarget;
  readonly peer: string;
  readonly asking: Asking;
  readonly context: HandleContext;
}

async function exchange(request: http.IncomingMessage, found: Found): Promise<Handled> {
  const { site, target, peer, asking, context } = found;
  const { rawHeaders, method = '', httpVersion: version } = request;
  const notes: ExchangeNotes = {};
  const passed = passedFields(rawHeaders, {
    peer,
    scheme: target.scheme,
    authority: target.authority,
    version,
    trusted: context.trusted,
    passOverrides: site.passOverrides,
    name: context.name,
  });
  const { client } = passed;
  const trace = passed.traceparent.traceId;
  const announced = fieldValue(rawHeaders, 'content-length');
  const length = announced === undefined ? undefined : Number(announced);
  const content = hasContent(rawHeaders) ? openContent(request, length, found) : undefined;
  const isChunked = content !== undefined && length === undefined;
  const verdict = await site.auth?.judge({ method, fields: rawHeaders, client });
  const asked = { notes, site: site.host, client, trace, content };
  if (verdict?.kind === 'refused') return { ...asked, answer: verdict.answer, failure: verdict.failure };
  const known = { ...asked, user: verdict?.user };
  const own = answerItself(method, target, rawHeaders);
  if (own) return { ...known, answer: own };
  const upgrade = asking.isUpgrade ? fieldValue(rawHeaders, 'upgrade') : undefined;
  try {
    // A client that is slow, or silent, takes no server from the others meanwhile.
    if (content && !asking.isHeldBack) await content.ready();
    if (content?.failure) throw content.failure;
    const answer = await site.exchange({
      method,
      scheme: target.scheme,
      authority: target.authority,
      target: target.target,
      fields: applyRules(requestFields(passed.fields, found, isChunked), site.requestFields),
      body: content,
      length: content && length,
      trailers: () => trailerFields(request.rawTrailers),
      client,
      signal: asking.signal,
      isAhead: asking.isAhead,
      upgrade,
      inform: (status, informed) => {
        if (status === 100) content?.expect();
        asking.inform?.(status, informed);
      },
      notes,
    });
    const fields = answerFields(answer, site, context.name);
    return { ...known, answer: { ...answer, fields } };
  } catch (cause) {
    const failure = content?.failure ?? asHoplineError(cause);
    if (failure !== content?.failure) return { ...known, answer: failureAnswer(cause), failure };
    asking.refused?.();
    return { ...known, answer: contentAnswer(failure), failure };
  }
}

function openContent(
  request: http.IncomingMessage,
  length: number | undefined,
  { site, asking, context }: Found,
): RequestContent {
  const { limits } = context;
  const maxBytes = site.maxBody ?? limits.maxHttpBodyBytes;
  const { isHeldBack = false, giveUp } = asking;
  return new RequestContent(request, { limits, maxBytes, length, isHeldBack, onFailed: giveUp });
}

/** What a client is told whose content was too long, or too slow to come. */
function contentAnswer({ code }: HoplineError): HttpAnswer {
  if (code === 'LIMIT_BODY') return textAnswer(413, 'the content of the request is too long', ['Connection', 'close']);
  return textAnswer(408, 'the content of the request did not come in time', ['Connection', 'close']);
}

function hasContent(fields: RawFields): boolean {
  const length = fieldValue(fields, 'content-length');
  return length === undefined ? fieldValue(fields, 'transfer-encoding') !== undefined : length !== '0';
}

function requestFields(fields: RawFields, { site, target, asking }: Found, isChunked: boolean): RawFields {
  const host = site.hostField ?? target.authority;
  const sent = ['Host', host];
  // What was judged here would only be a secret too many elsewhere, and has the cache take the answer for one person's.
  const ends = site.auth?.takesCredentials ? without(fields, 'authorization') : fields;
  forEachField(ends, (name, value) => {
    if (isNamed(name, 'host') || isNamed(name, 'content-length') || (isNamed(name, 'expect') && !asking.inform)) return;
    // Trailers need chunks to follow (RFC 9110, 6.5.1).
    if (isNamed(name, 'trailer') && !isChunked) return;
    const isCounted = isNamed(name, 'max-forwards') && /^\d{1,9}$/.test(value);
    sent.push(name, isCounted ? String(Math.max(0, Number(value) - 1)) : value);
  });
  return sent;
}

function answerFields({ fields, status }: HttpAnswer, site: Site, name: string): RawFields {
  if (status === 101) return fields;
  return applyRules([...fields, 'Via', `1.1 ${name}`], site.answerFields);
}

async function connect(
  fields: RawFields,
  { site, peer, asking, context }: Found,
  refused: (status: number, text: string) => Promise<Handled>,
): Promise<Handled> {
  const client = clientOf(fields, { peer, trusted: context.trusted });
  const verdict = await site.auth?.judge({ method: 'CONNECT', fields, client });
  const traceparent = traceOfTunnel(fields, { peer, trusted: context.trusted });
  const asked = { notes: {}, site: site.host, client, trace: traceparent.traceId };
  if (verdict?.kind === 'refused') return { ...asked, answer: verdict.answer, failure: verdict.failure };
  if (!site.connect) return refused(403, `CONNECT to ${site.host} is not allowed`);
  const known = { ...asked, user: verdict?.user };
  try {
    const upgraded = await site.connect(toAbortSignal(asking.signal), formatTraceparent(traceparent));
    return { ...known, answer: { status: 200, reason: '', fields: [], body: undefined, upgraded } };
  } catch (cause) {
    return { ...known, answer: failureAnswer(cause), failure: asHoplineError(cause) };
  }
}

/** Protocols that the client would go on with, if there is any that goes through. */
export function wantsUpgrade(fields: RawFields): boolean {
  return listMembers(fieldValue(fields, 'upgrade')).includes('websocket');
}

/** IPv4 that came in on a socket for both is written as IPv6. */
export function plainAddress(address = ''): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
