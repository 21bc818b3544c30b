/**
 * The content of a request on its way to a server: all of it, or a connection that breaks off.
 *
 * A server may answer before it has all of the content. The rest is then sent while the answer lasts, and given up after
 * it.
 * Invariant: a request is ended only behind the last byte of its content, and with as many bytes as it announced. In any
 * other case its connection is closed, so no server takes the rest of this request for another one (RFC 9112, 9.3 and
 * 9.6).
 */

import type http from 'node:http';
import { HoplineError } from '../../core/errors.ts';
import type { HttpRequest } from '../exchange.ts';
import { fieldPairs } from '../fields.ts';

/** Sends the content and ends the request. `onMoved` is called for each part. */
export function sendContent(sent: http.ClientRequest, request: HttpRequest, onMoved = () => {}): void {
  const { body, length } = request;
  if (!body) {
    sent.end();
    return;
  }
  let bytes = 0;
  const breakOff = (cause?: Error) => {
    if (!sent.writableEnded) sent.destroy(cause);
  };
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    onMoved();
    if (length !== undefined && bytes > length) breakOff(notAsAnnounced(length));
  });
  body.once('end', () => {
    if (length !== undefined && bytes !== length) return breakOff(notAsAnnounced(length));
    const trailers = request.trailers?.() ?? [];
    if (trailers.length > 0) sent.addTrailers(fieldPairs(trailers));
    sent.end();
  });
  body.once('error', breakOff).once('close', () => breakOff());
  sent.once('response', (response) => response.once('close', () => breakOff()));
  if (body.destroyed) breakOff(body.errored ?? undefined);
  else body.pipe(sent, { end: false });
}

function notAsAnnounced(length: number): HoplineError {
  return new HoplineError('FILE_CHANGED', `the content of a request has not the ${length} bytes that were announced`);
}
