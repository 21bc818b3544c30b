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
import { type Aead, BoxPlace, keyBytes, misfit, nodeAead, nonceOf, openBox, sealParts, tagBytes } from './aead.ts';

const ctrlGetTag = 0x10;
const ctrlSetTag = 0x11;

type Bytes = Buffer | Int32Array | null;

/** The functions of OpenSSL, by their names there; parameters as in its manual. */
export interface OpenSsl {
  newContext(): unknown;
  /** Clears all that a context holds, for it to be used anew. */
  resetContext(context: unknown): number;
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
    resetContext: f('int EVP_CIPHER_CTX_reset(void *ctx)'),
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
 * One context seals for all circuits what is whole: a record sets its key and its nonce, and is done before the next one begins.
 * Who seals or opens in parts has a context to itself, cleared and kept for the next one behind it: none is ever freed, so
 * there is none to be freed twice or used after.
 */
export function opensslAead(ssl: OpenSsl): Aead {
  const cipher = ssl.aes256Gcm();
  if (!cipher) throw noMemory();
  const idle: unknown[] = [];
  const written = new Int32Array(1);
  const rest = Buffer.alloc(tagBytes);

  const must = (result: number, length?: number) => {
    if (result === 1 && (length === undefined || written[0] === length)) return;
    throw new HoplineError('SECURE_FAILED', 'a call of OpenSSL failed');
  };

  const takeContext = () => {
    const context = idle.pop() ?? ssl.newContext();
    if (!context) throw noMemory();
    return context;
  };
  const giveBack = (context: unknown) => {
    if (ssl.resetContext(context) === 1) idle.push(context);
  };

  const newSealer: Aead['newSealer'] = () => {
    let context: unknown = takeContext();
    let isBegun = false;
    const orClear = (memory: Buffer | undefined, work: () => void) => {
      try {
        work();
      } catch (error) {
        memory?.fill(0);
        isBegun = false;
        ssl.clearError();
        throw error;
      }
    };
    return {
      begin: (key, counter, header) =>
        orClear(undefined, () => {
          isBegun = false;
          if (!context || key.length !== keyBytes) throw misfit();
          must(ssl.encryptInit(context, cipher, null, key, nonceOf(counter)));
          if (header.length > 0) must(ssl.encryptUpdate(context, null, written, header, header.length), header.length);
          isBegun = true;
        }),
      update: (from, to) =>
        orClear(to, () => {
          if (!isBegun || from.length !== to.length) throw misfit();
          if (to.length > 0) must(ssl.encryptUpdate(context, to, written, from, to.length), to.length);
        }),
      finish: (tag) =>
        orClear(tag, () => {
          if (!isBegun || tag.length !== tagBytes) throw misfit();
          isBegun = false;
          must(ssl.encryptFinal(context, rest, written), 0);
          must(ssl.control(context, ctrlGetTag, tagBytes, tag));
        }),
      close: () => {
        if (context) giveBack(context);
        context = undefined;
        isBegun = false;
      },
    };
  };

  const newOpener: Aead['newOpener'] = () => {
    let context: unknown = takeContext();
    const place = new BoxPlace();
    const orClear = <Result>(work: () => Result): Result => {
      try {
        return work();
      } catch (error) {
        place.clear();
        ssl.clearError();
        throw error;
      }
    };
    return {
      begin: (key, counter, header, to) =>
        orClear(() => {
          place.begin(key, to);
          must(ssl.decryptInit(context, cipher, null, key, nonceOf(counter)));
          if (header.length > 0) must(ssl.decryptUpdate(context, null, written, header, header.length), header.length);
        }),
      update: (from) =>
        orClear(() => {
          const to = place.take(from);
          if (to.length > 0) must(ssl.decryptUpdate(context, to, written, from, to.length), to.length);
        }),
      finish: (tag) =>
        orClear(() => {
          const isWhole = tag.length === tagBytes && place.isFull;
          if (isWhole) must(ssl.control(context, ctrlSetTag, tagBytes, tag));
          if (isWhole && ssl.decryptFinal(context, rest, written) === 1 && written[0] === 0) {
            place.done();
            return true;
          }
          place.clear();
          ssl.clearError();
          return false;
        }),
      moveTo: (to) => place.moveTo(to),
      close: () => {
        place.close();
        if (context) giveBack(context);
        context = undefined;
      },
    };
  };

  const sealing = newSealer();
  return { name: 'openssl', seal: (...box) => sealParts(sealing, ...box), newSealer, newOpener };
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
  if (!openBox(aead, key, 5n, header, mine) || !mine.subarray(0, -tagBytes).equals(content)) throw unproven();
  if (openBox(aead, key, 6n, header, other) || other.some((byte) => byte !== 0)) throw unproven();
}

function noMemory(): Error {
  return new Error('OpenSSL has no memory, or no AES-256-GCM');
}

function unproven(): Error {
  return new Error('it does not seal as it should');
}
