/**
 * AES-256-GCM by the OpenSSL that Node itself is built with and exports, called in place through koffi.
 *
 * Owns the calls and their order. node:crypto makes new memory for every update, which costs several times what the
 * cipher does; here it works in memory that is kept.
 * Invariant: the result of every call is looked at, and a failure leaves neither content in `to` or `box`, nor an error in
 * OpenSSL's queue, where it would end the next TLS connection of this process.
 */

import { HoplineError } from '../../core/errors.ts';
import { loadKoffi } from '../../io/kernel/libc.ts';
import { type Aead, checkOpen, checkSeal, keyBytes, nodeAead, nonceOf, tagBytes } from './aead.ts';

const ctrlGetTag = 0x10;
const ctrlSetTag = 0x11;

type Bytes = Buffer | Int32Array | null;

/** The functions of OpenSSL, by their names there; parameters as in its manual. */
export interface OpenSsl {
  newContext(): unknown;
  aes256Gcm(): unknown;
  encryptInit(context: unknown, cipher: unknown, engine: null, key: Bytes, nonce: Bytes): number;
  encryptUpdate(context: unknown, out: Bytes, written: Int32Array, from: Bytes, length: number): number;
  encryptFinal(context: unknown, out: Bytes, written: Int32Array): number;
  decryptInit(context: unknown, cipher: unknown, engine: null, key: Bytes, nonce: Bytes): number;
  decryptUpdate(context: unknown, out: Bytes, written: Int32Array, from: Bytes, length: number): number;
  decryptFinal(context: unknown, out: Bytes, written: Int32Array): number;
  control(context: unknown, type: number, length: number, bytes: Bytes): number;
  clearError(): void;
  peekError(): unknown;
}

/** Found once, so that a process with many circuits makes no contexts for each. */
let chosen: Aead | undefined;

/** The faster of the two ways that works here, which a process decides once. `wanted` is the only one to try. */
export function chooseAead(wanted?: Aead['name']): Aead {
  if (wanted !== undefined) return findAead(wanted);
  chosen ??= findAead(askedFor(process.env.HOPLINE_CRYPTO));
  return chosen;
}

/** What the variable says, for those who want to know which of the two is to blame. */
function askedFor(text: string | undefined): Aead['name'] | undefined {
  if (text === undefined || text === '') return undefined;
  if (text === 'node') return 'node';
  if (text === 'evp') return 'openssl';
  throw new HoplineError('USAGE_INVALID', `HOPLINE_CRYPTO: read "${text}", expected node or evp`);
}

function findAead(wanted?: Aead['name']): Aead {
  if (wanted === 'node') return nodeAead;
  try {
    const aead = opensslAead(loadOpenSsl());
    prove(aead);
    return aead;
  } catch (cause) {
    if (wanted === undefined) return nodeAead;
    throw new HoplineError('SECURE_FAILED', 'the OpenSSL of Node cannot be called here', { cause });
  }
}

/** Throws where koffi does not load, or Node does not export what is needed. */
export function loadOpenSsl(): OpenSsl {
  const library = loadKoffi().load(null);
  const f = (declaration: string) => library.func(declaration) as never;
  return {
    newContext: f('void *EVP_CIPHER_CTX_new()'),
    aes256Gcm: f('void *EVP_aes_256_gcm()'),
    encryptInit: f('int EVP_EncryptInit_ex(void *ctx, void *type, void *engine, void *key, void *iv)'),
    encryptUpdate: f('int EVP_EncryptUpdate(void *ctx, void *out, void *written, void *from, int length)'),
    encryptFinal: f('int EVP_EncryptFinal_ex(void *ctx, void *out, void *written)'),
    decryptInit: f('int EVP_DecryptInit_ex(void *ctx, void *type, void *engine, void *key, void *iv)'),
    decryptUpdate: f('int EVP_DecryptUpdate(void *ctx, void *out, void *written, void *from, int length)'),
    decryptFinal: f('int EVP_DecryptFinal_ex(void *ctx, void *out, void *written)'),
    control: f('int EVP_CIPHER_CTX_ctrl(void *ctx, int type, int length, void *bytes)'),
    clearError: f('void ERR_clear_error()'),
    peekError: f('unsigned long ERR_peek_error()'),
  };
}

/**
 * One context each way for all circuits: a record sets its key and its nonce, and is done before the next one begins. That
 * costs less than a microsecond, and there is none to be freed twice or used after.
 */
export function opensslAead(ssl: OpenSsl): Aead {
  const cipher = ssl.aes256Gcm();
  const sealing = ssl.newContext();
  const opening = ssl.newContext();
  if (!cipher || !sealing || !opening) throw new Error('OpenSSL has no memory, or no AES-256-GCM');
  const written = new Int32Array(1);
  const rest = Buffer.alloc(tagBytes);
  const tag = Buffer.alloc(tagBytes);

  const must = (result: number, length?: number) => {
    if (result === 1 && (length === undefined || written[0] === length)) return;
    throw new HoplineError('SECURE_FAILED', 'a call of OpenSSL failed');
  };

  const seal: Aead['seal'] = (key, counter, header, parts, to) => {
    checkSeal(key, parts, to);
    try {
      must(ssl.encryptInit(sealing, cipher, null, key, nonceOf(counter)));
      if (header.length > 0) must(ssl.encryptUpdate(sealing, null, written, header, header.length), header.length);
      let at = 0;
      for (const part of parts) {
        if (part.length === 0) continue;
        const place = to.subarray(at, at + part.length);
        must(ssl.encryptUpdate(sealing, place, written, part, place.length), part.length);
        at += part.length;
      }
      must(ssl.encryptFinal(sealing, rest, written), 0);
      must(ssl.control(sealing, ctrlGetTag, tagBytes, to.subarray(at)));
    } catch (error) {
      to.fill(0);
      ssl.clearError();
      throw error;
    }
  };

  const open: Aead['open'] = (key, counter, header, box) => {
    checkOpen(key, box);
    const content = box.subarray(0, -tagBytes);
    let isRight = false;
    try {
      box.copy(tag, 0, content.length);
      must(ssl.decryptInit(opening, cipher, null, key, nonceOf(counter)));
      if (header.length > 0) must(ssl.decryptUpdate(opening, null, written, header, header.length), header.length);
      if (content.length > 0) {
        must(ssl.decryptUpdate(opening, content, written, content, content.length), content.length);
      }
      must(ssl.control(opening, ctrlSetTag, tagBytes, tag));
      isRight = ssl.decryptFinal(opening, rest, written) === 1 && written[0] === 0;
      return isRight;
    } finally {
      if (!isRight) {
        box.fill(0);
        ssl.clearError();
      }
    }
  };

  return { name: 'openssl', seal, open };
}

/** Throws where it does not do what the other way does: better to be slow than to seal with something else. */
function prove(aead: Aead): void {
  const key = Buffer.alloc(keyBytes);
  const box = Buffer.alloc(tagBytes * 2);
  // Test case 14 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega.
  aead.seal(key, 0n, Buffer.alloc(0), [Buffer.alloc(tagBytes)], box);
  if (box.toString('hex') !== 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919') throw unproven();
  const header = Buffer.from('hopline!');
  const parts = [Buffer.alloc(17, 1), Buffer.alloc(0), Buffer.alloc(1000, 2)];
  const content = Buffer.concat(parts);
  const boxes = [aead, nodeAead].map((by) => {
    const sealed = Buffer.alloc(content.length + tagBytes);
    by.seal(key.fill(7), 5n, header, parts, sealed);
    return sealed;
  });
  const [mine, other] = boxes as [Buffer, Buffer];
  if (!mine.equals(other)) throw unproven();
  if (!aead.open(key, 5n, header, mine) || !mine.subarray(0, -tagBytes).equals(content)) throw unproven();
  if (aead.open(key, 6n, header, other) || other.some((byte) => byte !== 0)) throw unproven();
}

function unproven(): Error {
  return new Error('it does not seal as it should');
}
