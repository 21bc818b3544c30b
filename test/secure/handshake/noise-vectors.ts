/**
 * Published examples of Noise, from the test vectors of cacophony (https://github.com/haskell-cryptography/cacophony, in the public domain).
 *
 * Messages after the handshake are of the specification's own transport, each direction from number 0.
 */

export interface NoiseVector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_static?: string;
  readonly init_ephemeral: string;
  readonly init_remote_static: string;
  readonly resp_prologue: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

export const noiseVectors: readonly NoiseVector[] = [
  {
    protocol_name: 'Noise_IK_25519_AESGCM_SHA256',
    init_prologue: '4a6f686e2047616c74',
    init_static: 'e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1',
    init_ephemeral: '893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a',
    init_remote_static: '31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62',
    resp_prologue: '4a6f686e2047616c74',
    resp_static: '4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893',
    resp_ephemeral: 'bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b',
    handshake_hash: '669c8640d9e42a3cda2f232f78597ceefb01daa6e3df81181ccce6fc6b5026bf',
    messages: [
      {
        payload: '4c756477696720766f6e204d69736573',
        ciphertext:
          'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444e417bc55c7a8166c993356c1be41ef67818a292426f301556c7f26b21d25ddb097153891a9a956cff47b83e63ad8d701c1342c209cff1ca5ecd43402762ac249e3bd3a4c0a145fe07cb5dae28ea13a3',
      },
      {
        payload: '4d757272617920526f746862617264',
        ciphertext:
          '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843af2ccf9972e22afc67aeafcd25162f7f98c363b7762e3e4cb7d272e39f27a5',
      },
      {
        payload: '462e20412e20486179656b',
        ciphertext: '66acfc92e3197de166809e6d4d5d003dcc819a84bc3522ca53c9d9',
      },
      {
        payload: '4361726c204d656e676572',
        ciphertext: '71f89aa6533a6de70b0826864dd75f60806ee40170c16290189eb3',
      },
      {
        payload: '4a65616e2d426170746973746520536179',
        ciphertext: '4795a3423550c8bf00386bd496a3e2c76c10669d2a75ab8f79b5094c5412a25705',
      },
      {
        payload: '457567656e2042f6686d20766f6e2042617765726b',
        ciphertext: 'aa0bb39097555c918e40be82abc2b909eb79d9eb87adb07e268fc37323a6cf904fd01fb391',
      },
    ],
  },
  {
    protocol_name: 'Noise_NK_25519_AESGCM_SHA256',
    init_prologue: '4a6f686e2047616c74',
    init_ephemeral: '893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a',
    init_remote_static: '31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62',
    resp_prologue: '4a6f686e2047616c74',
    resp_static: '4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893',
    resp_ephemeral: 'bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b',
    handshake_hash: 'f8a87aa8add4fea6e33365b89637486c2f6564546ce29d1df9ce9abf78c507d7',
    messages: [
      {
        payload: '4c756477696720766f6e204d69736573',
        ciphertext:
          'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794475ab4d66d222457dd414bc5f296bc7b4078cc7d72af5192628b68bca7d28844b',
      },
      {
        payload: '4d757272617920526f746862617264',
        ciphertext:
          '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884303c7d89310502baa8299520ba451624c3c0492e2698f8d457c32400b91fd8a',
      },
      {
        payload: '462e20412e20486179656b',
        ciphertext: '304f70c37c93573099228016d54cb15213af94eb598d1b17df1153',
      },
      {
        payload: '4361726c204d656e676572',
        ciphertext: 'a1bf6c954529f29b31d8ae9f67d2c18dbd332aa1a0918690c6d80b',
      },
      {
        payload: '4a65616e2d426170746973746520536179',
        ciphertext: '2e8f3e51888360b2b2d83a64dde9943c7dd3c5e84ac7c4b4e2d5cfc025b6c854d3',
      },
      {
        payload: '457567656e2042f6686d20766f6e2042617765726b',
        ciphertext: '8498bf41212a8b87c9eeb408274c75b3558fd0530865b5a7932d4b3af812d85b3df27e6f33',
      },
    ],
  },
];
