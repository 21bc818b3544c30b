/** First messages as a test wants them, also ones that no client would send. */

import { randomBytes } from 'node:crypto';
import { firstOverhead, patternNumber, prologueOf } from '../../src/secure/handshake/first-records.ts';
import { encodeHello } from '../../src/secure/handshake/hello.ts';
import { Handshake, type Pattern } from '../../src/secure/handshake/noise.ts';
import { encodeRecordHeader, recordKinds } from '../../src/secure/records/record.ts';
import { type KeyPair, newKey, type PublicKey } from '../../src/wire/keys/key.ts';
import { encodeMessage, type Message } from '../../src/wire/native/messages.ts';

export interface FirstMessage {
  /** As in OPEN; the node is the last of them. */
  readonly hops: readonly string[];
  readonly node: PublicKey;
  /** Of the client; without it, NK. */
  readonly own?: KeyPair | undefined;
  readonly requests: readonly Message[];
  /** Milliseconds since 1970. @default now */
  readonly time?: number;
  /** As in OPEN. @default a random one */
  readonly trace?: string;
  /** @default a new one; with the same, and the same trace and time, it is the same message */
  readonly ephemeral?: KeyPair;
}

/** OPEN and the record behind it, and the client's end of the handshake. */
export function firstMessage(options: FirstMessage) {
  const { hops, node, own, requests, time = Date.now(), trace = randomBytes(16).toString('hex') } = options;
  const { ephemeral = newKey().key } = options;
  const pattern: Pattern = own ? 'IK' : 'NK';
  const payload = encodeHello(time, 'test', requests);
  const length = payload.length + firstOverhead(pattern);
  const header = encodeRecordHeader({ kind: recordKinds.first, pattern: patternNumber(pattern), length });
  const handshake = Handshake.initiator({ pattern, prologue: prologueOf(trace, header), own, remote: node, ephemeral });
  const open = encodeMessage({ type: 'open', hops: [...hops], hop: 1, trace, deadlineMs: 20_000 });
  return { bytes: Buffer.concat([open, header, handshake.write(payload)]), handshake };
}

/**
 * What whoever stole the secret of `node` needs to pose to it as the client of `victim`, in a first message: one secret that
 * both of them share is made of either's secret and the other's public key.
 */
export function posing(node: KeyPair, victim: PublicKey): Pick<FirstMessage, 'node' | 'own'> {
  // Asked for with the ephemeral key first, and then with the static one.
  const handles = [node.public.handle, victim.handle];
  const remote = Object.create(node.public, { handle: { get: () => handles.shift() } }) as PublicKey;
  return { node: remote, own: { secret: node.secret, public: victim } };
}
