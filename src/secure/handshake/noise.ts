/**
 * The handshake: Noise revision 34, patterns IK and NK, with 25519, AESGCM and SHA256.
 *
 * Owns the state of one handshake and what the two messages hold around their payloads. Does not know what payloads
 * mean, how messages travel, or whose keys are welcome.
 * Invariant: nothing of a message is given out before all of it authenticated; a handshake that failed does nothing more.
 * Specification: https://noiseprotocol.org/noise.html
 */

import { createHash, createHmac, diffieHellman } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { type KeyPair, newEphemeral, PublicKey } from '../../wire/keys/key.ts';
import { nodeAead, openBox, tagBytes } from '../records/aead.ts';

/** Whether the initiator has a key of its own: IK; or none: NK. Both know the responder's from before. */
export type Pattern = 'IK' | 'NK';

/** Bytes of a public key in a message. */
export const publicBytes = 32;

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss';

const patterns: Readonly<Record<Pattern, readonly (readonly Token[])[]>> = {
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
  NK: [
    ['e', 'es'],
    ['e', 'ee'],
  ],
};

/** The keys of the two directions, for whoever shook hands. */
export interface SessionKeys {
  readonly send: Buffer;
  readonly receive: Buffer;
  /** Names this session, to whoever is in it alone. */
  readonly hash: Buffer;
}

export interface HandshakeOptions {
  readonly pattern: Pattern;
  readonly prologue: Buffer;
  /** The static key of this end; an initiator of NK has none. */
  readonly own?: KeyPair | undefined;
  /** That of the responder, for the initiator. */
  readonly remote?: PublicKey | undefined;
  /** @default a new one, as it must be but for published examples */
  readonly ephemeral?: KeyPair;
}

export class Handshake {
  readonly #isInitiator: boolean;
  readonly #tokens: readonly (readonly Token[])[];
  readonly #own: KeyPair | undefined;
  readonly #ephemeral: KeyPair;
  #remote: PublicKey | undefined;
  #remoteEphemeral: PublicKey | undefined;
  #hash: Buffer;
  #chaining: Buffer;
  #key: Buffer | undefined;
  #counter = 0n;
  #message = 0;

  private constructor(options: HandshakeOptions, isInitiator: boolean, responder: PublicKey) {
    const { pattern, prologue, own, remote, ephemeral = newEphemeral() } = options;
    this.#isInitiator = isInitiator;
    this.#tokens = patterns[pattern];
    this.#own = own;
    this.#remote = remote;
    this.#ephemeral = ephemeral;
    // A name of at most 32 bytes is its own hash, with zeros behind it.
    this.#hash = Buffer.alloc(32);
    this.#hash.write(`Noise_${pattern}_25519_AESGCM_SHA256`);
    this.#chaining = this.#hash;
    this.#mixHash(prologue);
    this.#mixHash(responder.bytes);
  }

  /** `own` is what makes IK of NK. */
  static initiator(options: HandshakeOptions & { readonly remote: PublicKey }): Handshake {
    return new Handshake(options, true, options.remote);
  }

  static responder(options: HandshakeOptions & { readonly own: KeyPair }): Handshake {
    return new Handshake(options, false, options.own.public);
  }

  /** The static key of the other end, once it is proven. */
  get remote(): PublicKey | undefined {
    return this.#remote;
  }

  /** The other end's key for this one handshake, once its message was read. */
  get remoteEphemeral(): PublicKey | undefined {
    return this.#remoteEphemeral;
  }

  /** The next message of this end. Throws `SECURE_FAILED` for a key of the other end that leads nowhere. */
  write(payload: Buffer): Buffer {
    return this.#once((tokens) => {
      const parts: Buffer[] = [];
      for (const token of tokens) {
        if (token === 'e') parts.push(this.#mixed(this.#ephemeral.public.bytes));
        else if (token === 's') parts.push(this.#seal((this.#own as KeyPair).public.bytes));
        else this.#mixKey(this.#agree(token));
      }
      parts.push(this.#seal(payload));
      return Buffer.concat(parts);
    });
  }

  /** The payload of the other end's next message. Throws `SECURE_FAILED` for anything else. */
  read(message: Buffer): Buffer {
    return this.#once((tokens) => {
      let at = 0;
      const take = (length: number) => {
        at += length;
        if (at > message.length) throw failed('is too short');
        return message.subarray(at - length, at);
      };
      for (const token of tokens) {
        if (token === 'e') this.#remoteEphemeral = parse(this.#mixed(take(publicBytes)));
        else if (token === 's') this.#remote = parse(this.#open(take(publicBytes + tagBytes)));
        else this.#mixKey(this.#agree(token));
      }
      return this.#open(message.subarray(at));
    });
  }

  /** Behind the last message. */
  split(): SessionKeys {
    if (this.#message !== this.#tokens.length) throw failed('is not done');
    const [first, second] = derive(this.#chaining, Buffer.alloc(0));
    const hash = this.#hash;
    return this.#isInitiator ? { send: first, receive: second, hash } : { send: second, receive: first, hash };
  }

  /** The next message, whichever end it is from; one that fails is the last one. */
  #once(work: (tokens: readonly Token[]) => Buffer): Buffer {
    const next = this.#message;
    const tokens = this.#tokens[next];
    this.#message = Number.NaN;
    if (!tokens) throw failed('is over');
    const result = work(tokens);
    this.#message = next + 1;
    return result;
  }

  /** `es` is the initiator's ephemeral key and the responder's static one, whichever end this is. */
  #agree(token: Token): Buffer {
    const [first, second] = token;
    const [mine, other] = this.#isInitiator ? [first, second] : [second, first];
    const own = mine === 'e' ? this.#ephemeral : this.#own;
    const remote = other === 'e' ? this.#remoteEphemeral : this.#remote;
    if (!own || !remote) throw failed('lacks a key');
    try {
      return diffieHellman({ privateKey: own.secret, publicKey: remote.handle });
    } catch (cause) {
      throw failed('has a key that leads nowhere', cause);
    }
  }

  #mixHash(bytes: Buffer): void {
    this.#hash = createHash('sha256').update(this.#hash).update(bytes).digest();
  }

  #mixed(bytes: Buffer): Buffer {
    this.#mixHash(bytes);
    return bytes;
  }

  #mixKey(secret: Buffer): void {
    [this.#chaining, this.#key] = derive(this.#chaining, secret);
    this.#counter = 0n;
    secret.fill(0);
  }

  #seal(content: Buffer): Buffer {
    const box = Buffer.alloc(content.length + tagBytes);
    nodeAead.seal(this.#takeKey(), this.#counter++, this.#hash, [content], box);
    return this.#mixed(box);
  }

  #open(box: Buffer): Buffer {
    if (box.length < tagBytes) throw failed('is too short');
    const content = Buffer.from(box);
    if (!openBox(nodeAead, this.#takeKey(), this.#counter++, this.#hash, content))
      throw failed('does not authenticate');
    this.#mixHash(box);
    return content.subarray(0, -tagBytes);
  }

  /** In both patterns there is one before anything is sealed. */
  #takeKey(): Buffer {
    if (!this.#key) throw failed('has no key yet');
    return this.#key;
  }
}

/** HKDF with two outputs, as Noise has it. */
function derive(chaining: Buffer, secret: Buffer): [Buffer, Buffer] {
  const temporary = createHmac('sha256', chaining).update(secret).digest();
  const first = createHmac('sha256', temporary).update(Buffer.of(1)).digest();
  const second = createHmac('sha256', temporary).update(first).update(Buffer.of(2)).digest();
  return [first, second];
}

function parse(bytes: Buffer): PublicKey {
  const key = PublicKey.ofBytes(bytes);
  if (!key) throw failed('has a key that is none');
  return key;
}

function failed(how: string, cause?: unknown): HoplineError {
  return new HoplineError('SECURE_FAILED', `the handshake ${how}`, { cause });
}
