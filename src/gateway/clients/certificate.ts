/**
 * The certificate that a gateway shows to its clients: whether it can be used, and until when.
 *
 * Owns the daily look at the certificate's last day. Does not know where the certificate came from.
 * Invariant: a certificate that `readCertificate` returns can be used for a handshake until it expires.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { systemCode } from '../../core/system-errors.ts';

/** PEM. */
export interface ServerTls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

const dayMs = 24 * 60 * 60 * 1000;
/** Before its last day a certificate is complained about: time for whoever has to ask for a new one. */
const warnDays = 14;

/** The first certificate. Throws `USAGE_INVALID` unless certificate and key are ones, and belong together. */
export function readCertificate({ cert, key }: ServerTls): X509Certificate {
  const first = read('what is given as the certificate is none in PEM', () => new X509Certificate(cert));
  const own = read('what is given as its key is none in PEM, or has a passphrase', () => createPrivateKey(key));
  // A context takes a key of another kind, and fails at each handshake.
  if (!first.checkPrivateKey(own)) {
    throw new HoplineError('USAGE_INVALID', 'the certificate and its key do not belong together');
  }
  read('the certificate and its key cannot be used', () => createSecureContext({ cert, key }));
  return first;
}

function read<Value>(otherwise: string, reading: () => Value): Value {
  try {
    return reading();
  } catch (cause) {
    throw new HoplineError('USAGE_INVALID', `${otherwise} (${systemCode(cause) ?? 'unknown'})`, { cause });
  }
}

/** What is wrong with its time at `now`, in milliseconds since 1970, or undefined. */
export function judgeTime({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (now < from) return `the certificate is not valid before ${day(from)}`;
  if (now > to) return `the certificate expired on ${day(to)}`;
  return to - now < warnDays * dayMs ? `the certificate expires on ${day(to)}` : undefined;
}

/** Warns of what is wrong with its time now, and each day; the function returned ends that. */
export function watchTime(
  certificate: X509Certificate,
  { log, clock, now = Date.now }: { readonly log: Logger; readonly clock: Clock; readonly now?: () => number },
): () => void {
  let cancel = () => {};
  const look = () => {
    const wrong = judgeTime(certificate, now());
    if (wrong !== undefined) log.warn({ subject: certificate.subject }, wrong);
    cancel = clock.after(dayMs, look);
  };
  look();
  return () => cancel();
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
