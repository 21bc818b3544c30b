/**
 * Which file names may travel: the check that the client makes before it asks and the origin before it opens.
 *
 * Owns the syntax alone. Whether the file exists and lies below the root is io/disk/reading/served-file.ts's to find out.
 * Rules: docs/protocol/requests.md#names
 */

const maxSegmentBytes = 255;
/** As io/disk/writing/part-names.ts makes them; file systems may compare without regard to case. */
const unfinishedName = /^\..*\.part(\.journal(\.new)?)?$/i;

/** Says what is wrong with `name` as a path below an origin's root, or undefined if it may be asked for. */
export function nameProblem(name: string, maxNameBytes: number): string | undefined {
  if (name === '') return 'the name is empty';
  if (Buffer.byteLength(name) > maxNameBytes) return `the name is longer than ${maxNameBytes} bytes`;
  if (/\p{Cc}/u.test(name)) return 'the name holds a control character';
  if (/\p{Cs}/u.test(name)) return 'the name holds half of a character';
  if (name.startsWith('/')) return 'the name is an absolute path; names are relative to the root';
  const segments = name.split('/');
  if (segments.includes('..')) return 'the name climbs out of the root with ".."';
  if (segments.at(-1) === '') return 'the name ends in "/" and so names a directory';
  if (segments.some((segment) => Buffer.byteLength(segment) > maxSegmentBytes)) {
    return `a part of the name is longer than ${maxSegmentBytes} bytes`;
  }
  if (segments.some(isUnfinished)) return 'the name is one that unfinished files have';
  return undefined;
}

/** Whether a file of this name belongs to an unfinished transfer: its content, its journal, or that journal's successor. */
export function isUnfinished(segment: string): boolean {
  return unfinishedName.test(segment);
}
