/**
 * TLS over a connection that is there already, to a server that must be who it says.
 *
 * Owns what can go wrong with a certificate, and its words.
 * Invariant: a connection whose certificate is not right is closed, unless told otherwise.
 */

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { untilAborted } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import { systemCode } from '../../core/system-errors.ts';
import { readPastFailedWrites } from '../../io/legs/failed-writes.ts';
import { type Address, formatHop } from '../../wire/address.ts';

export interface TlsToBackend {
  /** PEM; without it, the authorities that Node knows. */
  readonly ca?: string | undefined;
  /** The name in the certificate. @default the host of the address */
  readonly serverName?: string | undefined;
  /** Takes any certificate. @default false */
  readonly insecure?: boolean | undefined;
}

/** Shakes hands with the server at `address`. Throws `TLS_FAILED`, or the signal's reason. */
export async function encrypt(
  socket: Duplex,
  address: Address,
  { ca, serverName = address.host, insecure }: TlsToBackend,
  signal: Signal,
): Promise<Duplex> {
  const secured = tls.connect({
    socket,
    // The name that a certificate is held against; an address is never sent as a name.
    host: serverName,
    servername: isIP(serverName) === 0 ? serverName : '',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: insecure !== true,
    ...(ca === undefined ? {} : { ca }),
  });
  try {
    await untilAborted(once(secured, 'secureConnect'), signal);
    return readPastFailedWrites(secured);
  } catch (cause) {
    secured.on('error', () => {}).destroy();
    signal.throwIfAborted();
    throw tlsError(address, cause);
  }
}

/** Throws `USAGE_INVALID` unless `pem`, which is called `what` in messages, begins with a certificate: what is none is believed by nobody. */
export function checkAuthorities(pem: string, what: string): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new HoplineError('USAGE_INVALID', `${what} holds no certificate in PEM`, { cause });
  }
}

/** Characters of a list that may have hundreds of names. */
const maxNamesShown = 200;

const certificateFaults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it vouches for its certificate itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody known here vouches for its certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'nobody known here vouches for its certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'nobody known here vouches for its certificate',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on that port',
  EPROTO: 'it does not speak TLS as it should',
};

function tlsError(address: Address, cause: unknown): HoplineError {
  const reason = systemCode(cause) ?? 'unknown';
  const fault = `${certificateFaults[reason] ?? 'it ended the handshake'}${namesIn(cause)}`;
  return new HoplineError('TLS_FAILED', `no secure connection to ${formatHop(address)}: ${fault} (${reason})`, {
    cause,
    reason,
  });
}

/** Which names a certificate is for, where that is what is wrong with it. They are the server's words. */
function namesIn(cause: unknown): string {
  const { cert } = cause as {
    readonly cert?: { readonly subjectaltname?: string; readonly subject?: { CN?: unknown } };
  };
  const names = cert?.subjectaltname ?? (cert?.subject?.CN ? `CN=${cert.subject.CN}` : '');
  return names === '' ? '' : `: ${names.slice(0, maxNamesShown)}`;
}
