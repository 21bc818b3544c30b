/**
 * Which bytes of a representation a Range field asks for, and the form of several of them in one answer.
 *
 * Pure: knows sizes and text, neither files nor connections. A field that is not
 * well formed, names another unit, or asks for more parts than anyone needs is ignored, as
 * RFC 9110 allows, so the answer is then the whole.
 * Invariant: a range that is selected lies within the representation, is not empty, and overlaps none of the others.
 * Rules: docs/http/requests.md#ranges
 */

export interface ByteRange {
  /** Bytes. */
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
}

export type SelectedRanges =
  /** There is nothing to select: the whole is due. */
  | { readonly kind: 'whole' }
  /** At least one; with more than one the answer has several parts. */
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] }
  /** No byte of what was asked for exists: 416. */
  | { readonly kind: 'none' };

/** Specifications in one Range field; a reader of more is no reader. */
const maxRanges = 64;

/** Selects what the value of a Range field asks for of `size` bytes; undefined asks for the whole. */
export function selectRanges(value: string | undefined, size: number): SelectedRanges {
  const specs = value === undefined ? undefined : parseSpecs(value);
  if (!specs || specs.length > maxRanges) return { kind: 'whole' };
  const selected: ByteRange[] = [];
  for (const spec of specs) {
    const range = applySpec(spec, size);
    if (range) addMerged(selected, range);
  }
  return selected.length > 0 ? { kind: 'ranges', ranges: selected } : { kind: 'none' };
}

/** What a Range field asks for first, as far as that can be said of a representation whose size is not known. */
export function firstBytes(value: string): ByteRange | undefined {
  const { first, last = Number.POSITIVE_INFINITY } = parseSpecs(value)?.[0] ?? {};
  // Places need room to count on.
  if (first === undefined || first > Number.MAX_SAFE_INTEGER / 2) return undefined;
  return { offset: first, length: last - first + 1 };
}

/** The value of Content-Range for `range`, and for no range at all (416). */
export function formatContentRange(range: ByteRange | undefined, size: number): string {
  return range ? `bytes ${range.offset}-${range.offset + range.length - 1}/${size}` : `bytes */${size}`;
}

/** The frame around several parts: what goes before each of them, what behind the last, and how long all of it is. */
export interface MultipartFrame {
  /** The value of Content-Type for the whole. */
  readonly contentType: string;
  /** Bytes, the parts' own among them. */
  readonly length: number;
  /** For each range what goes before its bytes. */
  readonly heads: readonly Buffer[];
  readonly end: Buffer;
}

/** Frames `ranges` as multipart/byteranges; `boundary` must not occur in the content: 128 random bits do. */
export function frameMultipart(
  ranges: readonly ByteRange[],
  size: number,
  contentType: string,
  boundary: string,
): MultipartFrame {
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${formatContentRange(range, size)}\r\n\r\n`,
    ),
  );
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  const bytes = ranges.reduce((sum, range) => sum + range.length, 0);
  const length = heads.reduce((sum, head) => sum + head.length, bytes + end.length);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, heads, end };
}

/** Ranges within their frame, if there is one; `read` has the bytes of each. */
export async function* framedRanges(
  ranges: readonly ByteRange[],
  frame: Pick<MultipartFrame, 'heads' | 'end'> | undefined,
  read: (range: ByteRange) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, undefined> {
  for (const [index, range] of ranges.entries()) {
    const head = frame?.heads[index];
    if (head) yield head;
    yield* read(range);
  }
  if (frame) yield frame.end;
}

/** `first-last`, `first-` or `-suffix`; what is missing is undefined. */
interface Spec {
  readonly first?: number;
  readonly last?: number;
}

/** Undefined for what is not a `bytes` range set (RFC 9110, 14.1.1). */
function parseSpecs(value: string): Spec[] | undefined {
  const [, set] = /^bytes=(.*)$/is.exec(value.trim()) ?? [];
  if (set === undefined) return undefined;
  const specs: Spec[] = [];
  // A list may have empty elements (RFC 9110, 5.6.1.2), but not nothing else.
  for (const text of set.split(',').map((element) => element.trim())) {
    if (text === '') continue;
    const spec = parseSpec(text);
    if (!spec) return undefined;
    specs.push(spec);
  }
  return specs.length > 0 ? specs : undefined;
}

function parseSpec(text: string): Spec | undefined {
  const [, firstText = '', lastText = ''] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  const first = firstText === '' ? undefined : parsePlace(firstText);
  const last = lastText === '' ? undefined : parsePlace(lastText);
  if (first === undefined && last === undefined) return undefined;
  if (first !== undefined && last !== undefined && last < first) return undefined;
  return { ...(first === undefined ? {} : { first }), ...(last === undefined ? {} : { last }) };
}

/** A place that no number holds exactly lies behind the end of every file, and there all places are alike. */
function parsePlace(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/** Undefined where the representation has no byte of it. */
function applySpec({ first, last }: Spec, size: number): ByteRange | undefined {
  const offset = first ?? Math.max(0, size - (last ?? 0));
  const end = first === undefined ? size : Math.min(size, (last ?? size) + 1);
  return offset < end ? { offset, length: end - offset } : undefined;
}

/** Ranges that overlap or touch become one, so that no byte is sent twice, however often it is asked for. */
function addMerged(selected: ByteRange[], range: ByteRange): void {
  let merged = range;
  let place = selected.length;
  for (let index = selected.length - 1; index >= 0; index -= 1) {
    const other = selected[index];
    if (!other || other.offset > merged.offset + merged.length || merged.offset > other.offset + other.length) continue;
    const offset = Math.min(other.offset, merged.offset);
    const end = Math.max(other.offset + other.length, merged.offset + merged.length);
    merged = { offset, length: end - offset };
    selected.splice(index, 1);
    place = index;
    // What has grown may touch one that was passed already.
    index = selected.length;
  }
  selected.splice(place, 0, merged);
}
