/**
 * A pool of HTTP servers as an exchange: each request goes to one of them, and to another one if that fails.
 *
 * Owns retry, stickiness and health checks over HTTP. Does not know what a connection is, nor how a server is picked.
 * Invariant: a request that may have had an effect is never sent twice.
 */

import { createHash } from 'node:crypto';
import type { Duplex, Readable } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { Tasks } from '../../core/work/tasks.ts';
import { brokenOff } from '../../http/body.ts';
import { dropBody, type Exchange, type HttpAnswer, type HttpRequest, isStream } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { Backend, isRepeatable } from '../../http/transport/backend.ts';
import { type Dial, dialDirect } from '../../http/transport/dial.ts';
import type { TlsToBackend } from '../../http/transport/encrypt.ts';
import type { Resolver } from '../../io/names/resolve.ts';
import { createSystemResolver } from '../../io/names/system-resolver.ts';
import type { Attempt } from '../../pool/attempt.ts';
import type { Algorithm } from '../../pool/balance.ts';
import type { HealthRule } from '../../pool/health.ts';
import type { MemberSource } from '../../pool/member.ts';
import { type MemberStatus, Pool } from '../../pool/pool.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import type { TakePlace } from './server-places.ts';

interface HttpCheck {
  /** Asked for with GET. */
  readonly path: string;
  /** @default any from 200 to 399 */
  readonly status?: number | undefined;
}

export interface ServersOptions {
  /** What to call them in logs. */
  readonly name: string;
  readonly sources: readonly MemberSource[];
  /** @default 'round-robin'; consistent hashing goes by the client's address */
  readonly algorithm?: Algorithm | undefined;
  readonly health?: Partial<HealthRule> | undefined;
  /** @default whether a connection can be opened */
  readonly check?: HttpCheck | undefined;
  /** A cookie keeps a client at the server that it was given first, for as long as that is up. */
  readonly sticky?: boolean | undefined;
  readonly tls?: TlsToBackend | undefined;
  /** @default straight over TCP */
  readonly dial?: Dial | undefined;
  /** Of names of servers. @default the system's */
  readonly resolve?: Resolver | undefined;
  /** Takes a place for each request, which is given back when its answer is over. @default there is room for all */
  readonly takePlace?: TakePlace | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Servers {
  readonly exchange: Exchange;
  /** Opens a connection to one of them: for CONNECT. */
  connect(signal: AbortSignal, traceparent?: string): Promise<Duplex>;
  members(): readonly MemberStatus[];
  close(): Promise<void>;
  /** As `close`, but breaks off what is under way, and settles within `lingerMs` whatever hangs. */
  breakOff(): Promise<void>;
}

const cookieName = 'hopline-server';

export function createServers(options: ServersOptions): Servers {
  const { limits, clock, log, check, resolve = createSystemResolver() } = options;
  const dial =
    options.dial ?? ((address, signal) => dialDirect(address, { clock, resolve, signal, connectMs: limits.connectMs }));
  const backend = new Backend({
    dial,
    tls: options.tls,
    connectMs: limits.connectMs,
    firstByteMs: limits.httpAnswerMs,
    idleMs: limits.idleMs,
    keepMs: limits.httpKeepMs,
    maxOpen: limits.maxHttpSiteRequests,
    maxHeadBytes: limits.maxHttpHeadBytes,
    clock,
  });
  const pool = new Pool({
    name: options.name,
    sources: options.sources,
    algorithm: options.algorithm,
    health: { slowStartMs: 0, ...options.health },
    probe: ({ hop }, signal) => (check ? probeAnswer(backend, hop, check, signal) : probeConnection(dial, hop, signal)),
    maxMembers: limits.maxPoolMembers,
    maxTries: limits.maxPoolTries,
    isOfMember,
    clock,
    log,
  });
  const underWay = new Tasks();
  const sticky = options.sticky === true;
  const exchange: Exchange = (request) =>
    new Promise((onAnswer, reject) => {
      underWay.add(askOne(pool, backend, { request, sticky, onAnswer, takePlace: options.takePlace }), reject);
    });
  return {
    exchange,
    connect: (signal, traceparent) => pool.run(({ hop }) => dial(hop, signal, traceparent), { signal }),
    members: () => pool.members(),
    close: async () => {
      await Promise.all([pool.close(), underWay.over()]);
      backend.close();
    },
    breakOff: async () => {
      backend.breakOff();
      await Promise.all([pool.close(), underWay.overWithin(limits.lingerMs)]);
    },
  };
}

/** One answer with a long head, and content that was not as announced, say nothing of the server; others would fail alike. */
function isOfMember({ code }: HoplineError): boolean {
  return code !== 'LIMIT_HEAD' && code !== 'FILE_CHANGED' && code !== 'LIMIT_BODY';
}

interface Asked {
  readonly request: HttpRequest;
  readonly sticky: boolean;
  /** Gets the answer as soon as its head is there. */
  readonly onAnswer: (answer: HttpAnswer) => void;
  readonly takePlace: TakePlace | undefined;
}

/** Settles once the content of the answer has ended: until then the server is busy with it. */
async function askOne(pool: Pool, backend: Backend, { request, sticky, onAnswer, takePlace }: Asked): Promise<void> {
  const { notes, signal, client } = request;
  const wanted = sticky ? stickyMember(pool, request) : undefined;
  let tries = 0;
  const ask = (attempt: Attempt) => {
    if (tries > 0) notes.retries = (notes.retries ?? 0) + 1;
    tries += 1;
    notes.backend = attempt.name;
    return backend.ask(attempt.member.hop, request, isRepeatable(request) ? undefined : () => attempt.commit());
  };
  // What goes on as another protocol is one connection for one of the client, which are counted.
  const giveBack = await takePlace?.(request);
  try {
    const [answer, attempt] = await pool.begin(ask, { key: client, prefer: wanted, signal });
    try {
      onAnswer(sticky && wanted !== attempt.name ? withCookie(answer, attempt.name, request) : answer);
      if (answer.body && isStream(answer.body)) await ended(answer.body);
    } catch (error) {
      attempt.failed(error);
      throw error;
    }
    attempt.succeeded();
  } finally {
    giveBack?.();
  }
}

/** Settles when a stream is over. Throws what broke it, if that was the server. */
function ended(body: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    body.on('close', () => {
      // Whoever gave it up, be it the cache or a head that could not be written, was not the server.
      if (body.readableEnded || !body.errored || body.errored instanceof HoplineError) resolve();
      else reject(brokenOff(body.errored));
    });
  });
}

/** The member that the client's cookie names, if there is one. */
function stickyMember(pool: Pool, { fields }: HttpRequest): string | undefined {
  const cookies = fieldValue(fields, 'cookie')?.split(/[;,]\s*/) ?? [];
  const ours = cookies.find((cookie) => cookie.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1);
  return ours === undefined ? undefined : pool.members().find(({ name }) => nameInCookie(name) === ours)?.name;
}

/** One that came over TLS never goes without it. */
function withCookie(answer: HttpAnswer, member: string, { scheme }: HttpRequest): HttpAnswer {
  const secure = scheme === 'https' ? '; Secure' : '';
  const cookie = `${cookieName}=${nameInCookie(member)}; Path=/; HttpOnly; SameSite=Lax${secure}`;
  return { ...answer, fields: [...answer.fields, 'Set-Cookie', cookie] };
}

/** Tells members apart without telling where they are. */
function nameInCookie(member: string): string {
  return createHash('sha256').update(member).digest('hex').slice(0, 16);
}

async function probeConnection(dial: Dial, address: Address, signal: AbortSignal): Promise<void> {
  const connection = await dial(address, signal);
  connection.on('error', () => {}).destroy();
}

async function probeAnswer(backend: Backend, address: Address, check: HttpCheck, signal: AbortSignal): Promise<void> {
  const answer = await backend.ask(address, {
    method: 'GET',
    scheme: 'http',
    authority: formatHop(address),
    target: check.path,
    fields: ['Host', formatHop(address), 'User-Agent', 'hopline-check'],
    body: undefined,
    client: '',
    signal,
    notes: {},
  });
  void dropBody(answer.body);
  const { status } = answer;
  if (check.status === undefined ? status >= 200 && status < 400 : status === check.status) return;
  throw new HoplineError('PEER_PROTOCOL', `${formatHop(address)} answered ${status} to GET ${check.path}`);
}
