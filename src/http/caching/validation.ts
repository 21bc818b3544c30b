/**
 * What is known of a stored answer once the origin has answered again without content: a 304, or the answer to HEAD (RFC 9111, 3.2, 4.3.4 and 4.3.5).
 *
 * Pure.
 */

import type { HttpRequest, RawFields } from '../exchange.ts';
import { countFields, FieldNames, fieldValue, filterFields, without } from '../fields.ts';

/** They describe the content, which stays what it was. */
const contentFields = new FieldNames([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'transfer-encoding',
  'cache-status',
]);

const conditions = ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range'];

/** Fields of the request that asks whether what is stored still holds: conditions of ours in place of the client's. */
export function validationFields(request: HttpRequest, stored: RawFields): RawFields {
  const fields = without(request.fields, ...conditions);
  const etag = fieldValue(stored, 'etag');
  const lastModified = fieldValue(stored, 'last-modified');
  if (etag !== undefined) fields.push('If-None-Match', etag);
  if (lastModified !== undefined) fields.push('If-Modified-Since', lastModified);
  return fields;
}

/** Whether a 304 is about what is stored: it may name no state, or must name this one. */
export function confirms(fields: RawFields, stored: RawFields): boolean {
  const etag = fieldValue(fields, 'etag');
  if (etag !== undefined) return bare(etag) === bare(fieldValue(stored, 'etag') ?? '');
  const modified = fieldValue(fields, 'last-modified');
  return (
    modified === undefined ||
    fieldValue(stored, 'etag') !== undefined ||
    modified === fieldValue(stored, 'last-modified')
  );
}

/** Whether the answer to HEAD is about the content that is stored (RFC 9111, 4.3.5). */
export function describesSame(fields: RawFields, stored: RawFields): boolean {
  return ['etag', 'last-modified', 'content-length'].every((name) => {
    const value = fieldValue(fields, name);
    return value === undefined || value === fieldValue(stored, name);
  });
}

/** The stored fields, with those that came in the new answer in place of the old ones. */
export function mergeFields(stored: RawFields, fresh: RawFields): RawFields {
  const added = filterFields(fresh, (name) => !contentFields.has(name));
  return [...filterFields(stored, (name) => countFields(added, name.toLowerCase()) === 0), ...added];
}

function bare(etag: string): string {
  return etag.replace(/^W\//, '');
}
