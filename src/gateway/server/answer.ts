/**
 * An answer on its way to the client: its head, its content as fast as the client takes it, and its trailers.
 *
 * Knows Node's ServerResponse, and nothing about where an answer comes from.
 * Invariant: however it ends, the body of the answer is used up or closed, and the client has an answer or no connection.
 */

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { brokenOff } from '../../http/body.ts';
import { dropBody, type FileBody, type HttpAnswer, isStream, type RawFields } from '../../http/exchange.ts';
import { type HttpFailure, httpFailures } from '../../http/failure-status.ts';
import { fieldPairs, fieldValue, without } from '../../http/fields.ts';
import { pseudonym } from '../../http/forwarding.ts';
import { type FileKernel, sendFileContent } from './send-range.ts';

/** In the log alone: the client left before its answer, so no status left. As nginx has it. */
const clientLeftStatus = 499;

/** What has left: bytes of content as they are given to the system to send, and the status before them. */
export interface SentAnswer {
  bytes: number;
  status: number;
}

/**
 * Sends an answer to its end, files inside the kernel where that can be; 502 in place of one whose head cannot be written.
 * Throws `PEER_LOST` if the client leaves before, `PEER_PROTOCOL` for such a head, and what broke its content off.
 */
export async function sendAnswer(
  response: ServerResponse,
  answer: HttpAnswer,
  method: string,
  sent: SentAnswer,
  kernel?: FileKernel,
): Promise<void> {
  const { status, body } = answer;
  sent.status = status;
  if (response.destroyed) {
    void dropBody(body);
    sent.status = clientLeftStatus;
    throw lostClient();
  }
  const hasContent = body !== undefined && method !== 'HEAD' && status !== 204 && status !== 304;
  try {
    const fields = sendableFields(response, answer, hasContent);
    // Node takes the flat form of rawHeaders, though its types do not say so.
    response.writeHead(status, answer.reason || STATUS_CODES[status], fields as unknown as string[]);
  } catch (cause) {
    void dropBody(body);
    sent.status = 502;
    await sendStandIn(response);
    throw new HoplineError('PEER_PROTOCOL', 'the head of an answer cannot be written', { cause });
  }
  if (!hasContent) {
    void dropBody(body);
    return endResponse(response);
  }
  if (Buffer.isBuffer(body)) {
    sent.bytes = body.length;
    return endResponse(response, body);
  }
  try {
    if (!isStream(body)) return await sendFile(response, body, sent, kernel);
    await sendStream(response, body, answer, sent);
  } catch (cause) {
    // A part of the answer has left: only a broken connection tells the client that the rest is missing.
    response.destroy();
    throw cause instanceof HoplineError ? cause : lostClient(cause);
  }
}

/** Trailer where trailers can follow, and no length behind a status that has no content (RFC 9110, 6.6.2 and 8.6). */
function sendableFields(
  response: ServerResponse,
  { status, fields, body }: HttpAnswer,
  hasContent: boolean,
): RawFields {
  if (status === 204) return without(fields, 'trailer', 'content-length');
  if (fieldValue(fields, 'trailer') === undefined) return fields;
  const isChunked =
    hasContent &&
    body !== undefined &&
    !Buffer.isBuffer(body) &&
    response.req.httpVersion !== '1.0' &&
    fieldValue(fields, 'content-length') === undefined;
  return isChunked ? fields : without(fields, 'trailer');
}

/** What Node refused may have told it that no content follows, so there is none. */
async function sendStandIn(response: ServerResponse): Promise<void> {
  const { error } = httpFailures.PEER_PROTOCOL;
  const fields = ['Content-Length', '0', 'Connection', 'close', 'Proxy-Status', `${pseudonym}; error=${error}`];
  try {
    response.writeHead(502, STATUS_CODES[502], fields as unknown as string[]);
  } catch {
    response.destroy();
    return;
  }
  await endResponse(response);
}

/** A short answer of the gateway's own. */
export function textAnswer(status: number, text: string, fields: RawFields = []): HttpAnswer {
  const body = Buffer.from(`hopline: ${text}\n`);
  const own = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(body.length)];
  return { status, reason: STATUS_CODES[status] ?? '', fields: [...own, 'Cache-Control', 'no-store', ...fields], body };
}

/** What a client is told of a failure: a status and Proxy-Status (RFC 9209). Addresses behind the gateway are for its log. */
export function failureAnswer(cause: unknown): HttpAnswer {
  const { code } = asHoplineError(cause);
  const { status, error }: HttpFailure = httpFailures[code];
  const fields: string[] = [];
  if (status === 503) fields.push('Retry-After', '1');
  if (error !== undefined) fields.push('Proxy-Status', `${pseudonym}; error=${error}`);
  const text = code === 'LIMIT_REQUESTS' ? tooMany : explanations[status];
  return textAnswer(status, text ?? 'this cannot be had', fields);
}

const tooMany = 'the gateway works on as many requests as it may; try again in a moment';

const explanations: Readonly<Record<number, string>> = {
  403: 'this is not served',
  404: 'there is no such file',
  500: 'the gateway failed; its log says how',
  502: 'the server behind this gateway could not be reached, or its answer was broken',
  503: 'no server behind this gateway is up; try again in a moment',
  504: 'the server behind this gateway did not answer in time',
  508: 'the request comes round to this gateway again',
};

/**
 * Passes a stream on as fast as the client takes it. Node's `pipeline` does the same at three times the cost: it makes and
 * aborts a signal for each stream.
 */
function sendStream(response: ServerResponse, body: Readable, answer: HttpAnswer, sent: SentAnswer): Promise<void> {
  return new Promise((resolve, reject) => {
    // Node tells of it both when all has left and when nothing more will.
    response.on('close', () => {
      if (response.writableFinished) return resolve();
      const { errored } = body;
      body.on('error', () => {}).destroy();
      reject(errored ? brokenOff(errored) : lostClient());
    });
    const goOn = () => body.resume();
    body.on('data', (bytes: Buffer) => {
      sent.bytes += bytes.length;
      if (response.write(bytes)) return;
      body.pause();
      response.once('drain', goOn);
    });
    body.on('end', () => {
      try {
        addTrailers(response, answer);
        response.end();
      } catch {
        response.destroy();
      }
    });
    const breakOff = () => {
      if (!body.readableEnded) response.destroy();
    };
    body.on('error', breakOff).on('close', breakOff);
    if (body.destroyed) breakOff();
  });
}

function addTrailers(response: ServerResponse, { trailers, fields }: HttpAnswer): void {
  const behind = trailers?.() ?? [];
  // Only chunked content has room for them.
  if (behind.length === 0 || fieldValue(fields, 'content-length') !== undefined) return;
  response.addTrailers(fieldPairs(behind));
}

async function sendFile(
  response: ServerResponse,
  body: FileBody,
  sent: SentAnswer,
  kernel: FileKernel | undefined,
): Promise<void> {
  try {
    if (body.length > 0) {
      await sendFileContent(response, body, kernel, (bytes) => {
        sent.bytes += bytes;
      });
    }
  } finally {
    await body.close();
  }
  await endResponse(response);
}

/** Settles once all has left, and throws if the connection is gone before. */
function endResponse(response: ServerResponse, last?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => (response.writableFinished ? resolve() : reject(lostClient()));
    if (response.destroyed) return settle();
    response.once('close', settle);
    response.end(last);
  });
}

function lostClient(cause?: unknown): HoplineError {
  return new HoplineError('PEER_LOST', 'the client left before the end of its answer', { cause });
}
