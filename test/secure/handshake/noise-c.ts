/** Noise by an implementation that is not ours: rweather/noise-c, compiled to WebAssembly. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export interface NoiseCipher {
  EncryptWithAd(ad: Uint8Array, content: Uint8Array): Uint8Array;
  DecryptWithAd(ad: Uint8Array, box: Uint8Array): Uint8Array;
  free(): void;
}

export interface NoiseHandshake {
  Initialize(prologue: Uint8Array, own: Uint8Array | null, remote: Uint8Array | null): void;
  WriteMessage(payload: Uint8Array): Uint8Array;
  ReadMessage(message: Uint8Array, wantsPayload: boolean): Uint8Array;
  /** For sending and for receiving. */
  Split(): [NoiseCipher, NoiseCipher];
  GetHandshakeHash(): Uint8Array;
  GetRemotePublicKey(): Uint8Array | null;
}

export interface NoiseC {
  readonly constants: { readonly NOISE_ROLE_INITIATOR: number; readonly NOISE_ROLE_RESPONDER: number };
  readonly HandshakeState: new (protocol: string, role: number) => NoiseHandshake;
}

export function loadNoiseC(): Promise<NoiseC> {
  const create = require('noise-c.wasm') as (options: object, done: (noise: NoiseC) => void) => void;
  // By itself it would look for this with fetch, which warns that it cannot.
  const wasmBinary = readFileSync(require.resolve('noise-c.wasm/src/noise-c.wasm'));
  return new Promise((resolve) => create({ wasmBinary }, resolve));
}
