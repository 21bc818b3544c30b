/**
 * The node's end of a handshake: takes the first message, answers, and makes a secure leg of the leg.
 *
 * Invariant: before the client has shown that it is there, it gets little, and a circuit waits for that no longer than
 * `ms`; a client that may not come in is told so inside the answer's records alone.
 * Format: docs/protocol/encryption.md#handshake
 */

import type { Clock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { OwnSignal, type Signal } from '../core/signal.ts';
import { software } from '../core/software.ts';
import { ownerOf } from '../core/work/budget.ts';
import type { LoopShare } from '../core/work/loop-share.ts';
import { readHead } from '../io/legs/head.ts';
import type { Leg } from '../io/legs/leg.ts';
import { lost } from '../io/legs/loss.ts';
import type { KeyPair, PublicKey } from '../wire/keys/key.ts';
import type { EarlyWindow } from './handshake/early-window.ts';
import { decodeFirstRecord, type FirstRecord, prologueOf } from './handshake/first-records.ts';
import { decodeHello, encodeWelcome } from './handshake/hello.ts';
import { Handshake } from './handshake/noise.ts';
import type { Aead } from './records/aead.ts';
import {
  encodeRecordHeader,
  maxClientContent,
  maxNodeContent,
  RecordOpener,
  RecordSealer,
  recordKinds,
} from './records/record.ts';
import { SecureLeg } from './secure-leg.ts';

export interface AcceptSecureOptions {
  readonly own: KeyPair;
  /** Of the OPEN that came, in hex. */
  readonly trace: string;
  readonly window: EarlyWindow;
  readonly clock: Clock;
  /** Milliseconds for the first message, and again for the client to show that it is there. */
  readonly ms: number;
  readonly maxHeaderBytes: number;
  /** Bytes that any client gets before it has shown that it is there; `SecureLeg.allowUnconfirmed` adds to them. */
  readonly unconfirmedBytes: number;
  readonly aead: Aead;
  /** When the work of a handshake is done, which anybody may ask for. */
  readonly share: LoopShare;
  readonly signal?: Signal | undefined;
}

export interface SecureClient {
  readonly leg: SecureLeg;
  /** Undefined for one without. */
  readonly key: PublicKey | undefined;
  /** Whether what came with the first message was taken at once: not where it may have come before. */
  readonly isEarly: boolean;
}

/**
 * Throws `SECURE_FAILED` where the first message was not made for this node and circuit, `PEER_PROTOCOL`, `TIMEOUT_HEAD` also
 * where the node had no time for it, and as `readHead`.
 */
export async function acceptSecureLeg(leg: Leg, options: AcceptSecureOptions): Promise<SecureClient> {
  const { clock, ms, signal } = options;
  const decode = (bytes: Buffer) => decodeFirstRecord(bytes, recordKinds.first);
  const first = await readHead(leg, decode, { clock, ms, signal });
  if (first === null) throw lost(leg.peer);
  const client = await inTurn(leg, options, () => answerFirst(leg, first, options));
  const cancel = clock.after(ms, () => client.leg.destroy(unconfirmed(leg.peer, ms)));
  void client.leg.confirmed.then(cancel);
  return client;
}

/** Does the work of a handshake when it is its turn; who has gone by then gets none. */
async function inTurn<Result>(
  leg: Leg,
  { clock, ms, share }: AcceptSecureOptions,
  work: () => Result,
): Promise<Result> {
  const waiting = new OwnSignal();
  const cancel = clock.after(ms, () => {
    const message = `the node has had more handshakes to do than it could within ${ms / 1000} s`;
    waiting.abort(new HoplineError('TIMEOUT_HEAD', message));
  });
  void leg.closed.then(() => waiting.abort(leg.failure ?? lost(leg.peer)));
  try {
    return await share.run(ownerOf(leg.address?.host ?? leg.peer), waiting, work);
  } finally {
    cancel();
  }
}

function answerFirst(
  leg: Leg,
  { header, pattern, message }: FirstRecord,
  { own, trace, window, maxHeaderBytes, unconfirmedBytes, aead }: AcceptSecureOptions,
): SecureClient {
  const handshake = Handshake.responder({ pattern, prologue: prologueOf(trace, header), own });
  const { time, early } = decodeHello(handshake.read(message), maxHeaderBytes);
  const isEarly = window.admit((handshake.remoteEphemeral as PublicKey).bytes, time);
  const answer = handshake.write(encodeWelcome(software, isEarly));
  leg.post(
    Buffer.concat([encodeRecordHeader({ kind: recordKinds.answer, pattern: 0, length: answer.length }), answer]),
  );
  const { send, receive } = handshake.split();
  const secure = new SecureLeg(leg, handshake.remote);
  secure.begin({
    sealer: new RecordSealer({ aead, key: send, maxContent: maxNodeContent }),
    opener: new RecordOpener({ aead, key: receive, maxContent: maxClientContent }),
    unconfirmed: { early, isEarly, maxBytes: unconfirmedBytes },
  });
  return { leg: secure, key: handshake.remote, isEarly };
}

function unconfirmed(peer: string, ms: number): HoplineError {
  return new HoplineError('TIMEOUT_HEAD', `${peer} did not go on with its handshake within ${ms / 1000} s`);
}
