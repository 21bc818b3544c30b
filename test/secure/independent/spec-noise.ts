/**
 * Noise IK and NK as docs/protocol/encryption.md#handshake has them, written from that document, revision 34 of Noise and RFC 7748 alone.
 *
 * Knows nothing of src/: where both agree, the documents say enough. Any failure is thrown.
 */

import assert from 'node:assert/strict';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';

export type SpecPattern = 'IK' | 'NK';

/** What each of the two messages says, in order; the node's static key is known before. Noise revision 34, section 7.5. */
const tokens: Record<SpecPattern, readonly [readonly string[], readonly string[]]> = {
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
  NK: [
    ['e', 'es'],
    ['e', 'ee'],
  ],
};

const secretPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const publicPrefix = Buffer.from('302a300506032b656e032100', 'hex');

function secretObject(secret: Buffer) {
  return createPrivateKey({ key: Buffer.concat([secretPrefix, secret]), format: 'der', type: 'pkcs8' });
}

/** The public half, 32 bytes, of 32 bytes of a secret. */
export function publicOf(secret: Buffer): Buffer {
  return createPublicKey(secretObject(secret)).export({ format: 'der', type: 'spki' }).subarray(-32);
}

function agree(secret: Buffer, other: Buffer): Buffer {
  const key = createPublicKey({ key: Buffer.concat([publicPrefix, other]), format: 'der', type: 'spki' });
  return diffieHellman({ privateKey: secretObject(secret), publicKey: key });
}

function derive(chaining: Buffer, input: Buffer): [Buffer, Buffer] {
  const temporary = createHmac('sha256', chaining).update(input).digest();
  const first = createHmac('sha256', temporary).update(Buffer.of(1)).digest();
  return [first, createHmac('sha256', temporary).update(first).update(Buffer.of(2)).digest()];
}

function nonceOf(counter: bigint): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(counter, 4);
  return nonce;
}

export function specSeal(key: Buffer, counter: bigint, header: Buffer, content: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(counter)).setAAD(header);
  return Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

export function specOpen(key: Buffer, counter: bigint, header: Buffer, sealed: Buffer): Buffer {
  assert.ok(sealed.length >= 16, 'shorter than a tag');
  const cipher = createDecipheriv('aes-256-gcm', key, nonceOf(counter), { authTagLength: 16 }).setAAD(header);
  cipher.setAuthTag(sealed.subarray(-16));
  const content = cipher.update(sealed.subarray(0, -16));
  return Buffer.concat([content, cipher.final()]);
}

/** REKEY of a key, section 11.3 of Noise: the first 32 bytes of 32 zeros, sealed with the largest nonce. */
export function specRekey(key: Buffer): Buffer {
  return specSeal(key, 2n ** 64n - 1n, Buffer.alloc(0), Buffer.alloc(32)).subarray(0, 32);
}

export interface SpecKeys {
  readonly ephemeral: Buffer;
  /** The own secret of the client with IK, and that of the node. */
  readonly own?: Buffer;
  /** The public key of the node, for a client. */
  readonly node?: Buffer;
}

/** One side of a handshake: a client writes the first message and reads the second, a node the other way round. */
export class SpecHandshake {
  readonly #pattern: SpecPattern;
  readonly #isClient: boolean;
  readonly #keys: SpecKeys;
  #chaining: Buffer;
  #hash: Buffer;
  #key: Buffer | undefined;
  #counter = 0n;
  #message = 0;
  /** The static and the ephemeral public key of the other side, as far as they are known. */
  theirs: { static?: Buffer; ephemeral?: Buffer };

  constructor(pattern: SpecPattern, prologue: Buffer, isClient: boolean, keys: SpecKeys) {
    this.#pattern = pattern;
    this.#isClient = isClient;
    this.#keys = keys;
    const name = Buffer.from(`Noise_${pattern}_25519_AESGCM_SHA256`);
    this.#hash = name.length > 32 ? createHash('sha256').update(name).digest() : Buffer.concat([name], 32);
    this.#chaining = this.#hash;
    this.#mixHash(prologue);
    this.theirs = isClient && keys.node ? { static: keys.node } : {};
    this.#mixHash(isClient ? this.#known(keys.node) : publicOf(this.#known(keys.own)));
  }

  write(payload: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (const token of tokens[this.#pattern][this.#message++] ?? assert.fail('no message is left')) {
      if (token === 'e') {
        const ephemeral = publicOf(this.#keys.ephemeral);
        this.#mixHash(ephemeral);
        parts.push(ephemeral);
      } else if (token === 's') parts.push(this.#sealHash(publicOf(this.#known(this.#keys.own))));
      else this.#mixKey(this.#agree(token));
    }
    return Buffer.concat([...parts, this.#sealHash(payload)]);
  }

  read(message: Buffer): Buffer {
    let rest = message;
    const take = (length: number) => {
      assert.ok(rest.length >= length, 'the message is too short');
      const taken = rest.subarray(0, length);
      rest = rest.subarray(length);
      return taken;
    };
    for (const token of tokens[this.#pattern][this.#message++] ?? assert.fail('no message is left')) {
      if (token === 'e') {
        this.theirs.ephemeral = take(32);
        this.#mixHash(this.theirs.ephemeral);
      } else if (token === 's') this.theirs.static = this.#openHash(take(48));
      else this.#mixKey(this.#agree(token));
    }
    return this.#openHash(rest);
  }

  /** The keys of the two directions, that of the client first. */
  split(): [Buffer, Buffer] {
    assert.equal(this.#message, 2);
    return derive(this.#chaining, Buffer.alloc(0));
  }

  /** The first letter of a token is the client's key, the second the node's. */
  #agree(token: string): Buffer {
    const [own, other] = this.#isClient ? [token[0], token[1]] : [token[1], token[0]];
    const secret = own === 'e' ? this.#keys.ephemeral : this.#known(this.#keys.own);
    return agree(secret, this.#known(other === 'e' ? this.theirs.ephemeral : this.theirs.static));
  }

  #known(key: Buffer | undefined): Buffer {
    return key ?? assert.fail('a key is missing');
  }

  #mixHash(bytes: Buffer): void {
    this.#hash = createHash('sha256').update(this.#hash).update(bytes).digest();
  }

  #mixKey(secret: Buffer): void {
    [this.#chaining, this.#key] = derive(this.#chaining, secret);
    this.#counter = 0n;
  }

  #sealHash(content: Buffer): Buffer {
    const sealed = specSeal(this.#known(this.#key), this.#counter++, this.#hash, content);
    this.#mixHash(sealed);
    return sealed;
  }

  #openHash(sealed: Buffer): Buffer {
    const content = specOpen(this.#known(this.#key), this.#counter++, this.#hash, sealed);
    this.#mixHash(sealed);
    return content;
  }
}
