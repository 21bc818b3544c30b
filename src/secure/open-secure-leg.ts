/**
 * The client's end of a handshake: the first message leaves with the first requests, the answer makes a secure leg of the leg.
 *
 * Invariant: nothing that is not sealed for the node's key is sent, whatever comes back; what comes before the answer is
 * judged by the caller, and vouched for by nobody.
 * Format: docs/protocol/encryption.md#handshake
 */

import type { Clock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { software } from '../core/software.ts';
import { readHead } from '../io/legs/head.ts';
import type { Leg } from '../io/legs/leg.ts';
import { lost } from '../io/legs/loss.ts';
import { bad, type Decoded, ok } from '../wire/decoded.ts';
import type { KeyPair, PublicKey } from '../wire/keys/key.ts';
import { encodeMessage, type Message } from '../wire/native/messages.ts';
import { decodeFirstRecord, firstOverhead, patternNumber, prologueOf } from './handshake/first-records.ts';
import { countEarly, decodeWelcome, encodeHello } from './handshake/hello.ts';
import { Handshake, type Pattern } from './handshake/noise.ts';
import type { Aead } from './records/aead.ts';
import {
  encodeRecordHeader,
  firstRecordByte,
  maxClientContent,
  maxNodeContent,
  RecordOpener,
  RecordSealer,
  recordKinds,
} from './records/record.ts';
import { SecureLeg } from './secure-leg.ts';

export interface OpenSecureOptions {
  /** The node's. */
  readonly remote: PublicKey;
  /** This client's, where it has one. */
  readonly own?: KeyPair | undefined;
  /** Of the OPEN that was sent, in hex. */
  readonly trace: string;
  /** The first of these go with the first message, as many as may. */
  readonly requests: readonly Message[];
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Milliseconds for the answer. */
  readonly ms: number;
  readonly maxHeaderBytes: number;
  readonly aead: Aead;
  /**
   * Decodes one message in plain that a node on the way may send before the answer. One that must not come is bad, and what
   * it says that ends the circuit is thrown. @default none may come
   */
  readonly takePlain?: (bytes: Buffer) => Decoded<unknown>;
}

/**
 * Sends the first message; nothing is waited for. A handshake that fails is told by the next read or write.
 * Throws `SECURE_FAILED` where this Node cannot encrypt.
 */
export function openSecureLeg(leg: Leg, options: OpenSecureOptions): SecureLeg {
  try {
    return sendFirst(leg, options);
  } catch (error) {
    throw asSecureError(error);
  }
}

function sendFirst(leg: Leg, options: OpenSecureOptions): SecureLeg {
  const { own, remote, requests, trace, wallClock } = options;
  const pattern: Pattern = own ? 'IK' : 'NK';
  const early = countEarly(requests);
  const payload = encodeHello(wallClock(), software, requests.slice(0, early));
  const header = encodeRecordHeader({
    kind: recordKinds.first,
    pattern: patternNumber(pattern),
    length: payload.length + firstOverhead(pattern),
  });
  const handshake = Handshake.initiator({ pattern, prologue: prologueOf(trace, header), own, remote });
  leg.post(Buffer.concat([header, handshake.write(payload)]));
  const secure = new SecureLeg(leg, remote);
  for (const request of requests.slice(early)) secure.post(encodeMessage(request));
  takeAnswer(leg, handshake, secure, options).catch((error) => secure.destroy(asSecureError(error)));
  return secure;
}

async function takeAnswer(
  leg: Leg,
  handshake: Handshake,
  secure: SecureLeg,
  { clock, ms, maxHeaderBytes, aead, takePlain = nothingPlain }: OpenSecureOptions,
): Promise<void> {
  const decode = (bytes: Buffer): Decoded<Buffer | undefined> => {
    if (bytes[0] === firstRecordByte) {
      const answer = decodeFirstRecord(bytes, recordKinds.answer);
      return answer.kind === 'ok' ? ok(answer.value.message, answer.used) : answer;
    }
    const plain = takePlain(bytes);
    return plain.kind === 'ok' ? ok(undefined, plain.used) : plain;
  };
  const started = clock.now();
  for (;;) {
    const message = await readHead(leg, decode, { clock, ms: Math.max(1, ms - (clock.now() - started)) });
    if (message === null) throw lost(leg.peer);
    if (message === undefined) continue;
    decodeWelcome(handshake.read(message), maxHeaderBytes);
    const { send, receive } = handshake.split();
    secure.begin({
      sealer: new RecordSealer({ aead, key: send, maxContent: maxClientContent }),
      opener: new RecordOpener({ aead, key: receive, maxContent: maxNodeContent }),
    });
    return;
  }
}

/** What is no error of ours comes from a primitive that this Node does not have. */
function asSecureError(cause: unknown): HoplineError {
  if (cause instanceof HoplineError) return cause;
  return new HoplineError('SECURE_FAILED', 'this Node cannot encrypt as it would have to', { cause });
}

function nothingPlain(): Decoded<never> {
  return bad('SECURE_FAILED', 'the peer answered in plain where the answer of a handshake was due');
}
