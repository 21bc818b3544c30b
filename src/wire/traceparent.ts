/**
 * `traceparent` of W3C Trace Context: the id of something that goes over many machines, by which all their logs have it.
 *
 * Owns how it is written. Nothing is decided by it: anybody may say any id, and say that of somebody else.
 * Invariant: an id that was read is not all zeros; what is written is of version 00.
 * Rules: W3C Trace Context, level 1, 3.2
 */

export interface TraceParent {
  /** 32 hexadecimal digits: the same everywhere. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the part of it that asks. */
  readonly parentId: string;
  /** Whether whoever asks may have recorded it. */
  readonly isSampled: boolean;
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const zeros = /^0+$/;

/** Undefined for anything else; of a version that is not known, what every version has. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const [, version, traceId = '', parentId = '', flags = '', more] = pattern.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (zeros.test(traceId) || zeros.test(parentId)) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, parentId, isSampled }: TraceParent): string {
  return `00-${traceId}-${parentId}-${isSampled ? '01' : '00'}`;
}
