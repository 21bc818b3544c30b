/**
 * What Linux knows of a TCP connection, through `getsockopt` with `TCP_INFO`; nothing where that cannot be asked.
 *
 * Owns the places in the system's structure, which only ever grows at its end: an earlier kernel fills in less of it.
 */

import { once } from '../once.ts';
import { loadKoffi } from './libc.ts';
import { IPPROTO_TCP } from './numbers.ts';

export interface TcpInfo {
  /** Of the connection itself, acknowledged by the peer's system; smoothed, with its mean deviation. */
  readonly rttMs: number;
  readonly rttVarMs: number;
  /** Segments that were sent again since the connection began. */
  readonly retransmits: number;
  /** Bytes that the peer's system has acknowledged, and that came from it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** Undefined for a descriptor that is no TCP connection. */
export type ReadTcpInfo = (fd: number) => TcpInfo | undefined;

const TCP_INFO = 11;
/** Up to the bytes that came, which Linux has had since 4.1. */
const leastBytes = 136;
const at = { rtt: 68, rttVar: 72, retransmits: 100, bytesAcked: 120, bytesReceived: 128 } as const;
const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Undefined where nobody can be asked. */
export const loadTcpInfo = once((): ReadTcpInfo | undefined => {
  if (process.platform !== 'linux') return undefined;
  try {
    const declaration = 'int getsockopt(int fd, int level, int name, void *value, void *length)';
    const getsockopt = loadKoffi().load(null).func(declaration);
    return (fd) => {
      const [info, length] = [new DataView(new ArrayBuffer(leastBytes)), Int32Array.of(leastBytes)];
      const failed = getsockopt(fd, IPPROTO_TCP, TCP_INFO, new Uint8Array(info.buffer), length) < 0;
      if (failed || (length[0] ?? 0) < leastBytes) return undefined;
      return {
        rttMs: info.getUint32(at.rtt, little) / 1000,
        rttVarMs: info.getUint32(at.rttVar, little) / 1000,
        retransmits: info.getUint32(at.retransmits, little),
        bytesSent: Number(info.getBigUint64(at.bytesAcked, little)),
        bytesReceived: Number(info.getBigUint64(at.bytesReceived, little)),
      };
    };
  } catch {
    return undefined;
  }
});
