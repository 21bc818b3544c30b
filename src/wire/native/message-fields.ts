/**
 * The fields that messages are made of, and how a header is held against the schema of a message.
 *
 * Invariant: what is told of a malformed header names the field and what was expected, and never what came.
 */

import * as v from 'valibot';
import { safeText } from '../../core/text.ts';
import type { Hop, ParsedHop } from '../address.ts';
import { bad, type Decoded, ok } from '../decoded.ts';
import { decodeFrame } from './frame.ts';

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
export const shortText = v.pipe(v.string(), v.maxLength(200));
export const hexDigest = v.pipe(v.string(), v.regex(/^[0-9a-f]{32,128}$/));

export function parsedBy<Kind extends Hop>(parse: (text: string) => ParsedHop<Kind>) {
  return v.pipe(
    v.string(),
    v.maxLength(300),
    v.rawTransform<string, Kind>(({ dataset, addIssue, NEVER }) => {
      const parsed = parse(dataset.value);
      if (parsed.kind === 'ok') return parsed.hop;
      addIssue({ message: `expected ${parsed.expected}` });
      return NEVER;
    }),
  );
}

/** The kinds of a variant by their names: to look for the one that came costs a fraction of trying them all. */
export function kindsOf<
  Option extends v.GenericSchema & { readonly entries: { readonly type: { readonly literal: string } } },
>(options: readonly Option[]): ReadonlyMap<unknown, Option> {
  return new Map(options.map((option) => [option.entries.type.literal, option]));
}

/** The first frame, if its header is what `schema` says, a variant of `kinds` where there are any. Bad as `decodeFrame`, and `PEER_PROTOCOL` for any other. */
export function decodeAs<Schema extends v.GenericSchema>(
  schema: Schema,
  what: string,
  bytes: Buffer,
  maxHeaderBytes: number,
  kinds?: ReadonlyMap<unknown, v.GenericSchema<unknown, v.InferOutput<Schema>>>,
): Decoded<v.InferOutput<Schema>> {
  const frame = decodeFrame(bytes, maxHeaderBytes);
  if (frame.kind !== 'ok') return frame;
  const kind = kinds?.get((frame.value as { readonly type?: unknown }).type);
  const parsed = v.safeParse(kind ?? schema, frame.value, { abortEarly: true });
  if (parsed.success) return ok(parsed.output, frame.used);
  const [issue] = parsed.issues;
  return bad('PEER_PROTOCOL', `the peer sent a malformed ${what}: ${describeIssue(issue)}`);
}

/** What was expected and where; never what came, which is a peer's. */
export function describeIssue(issue: v.BaseIssue<unknown>): string {
  const expected =
    issue.expected ?? (issue.type === 'raw_transform' || issue.type === 'check' ? issue.message : 'other');
  return `${v.getDotPath(issue) ?? 'header'}: ${expected.startsWith('expected') ? '' : 'expected '}${safeText(expected, 200)}`;
}
