/** Who came and who left, as fields of one line in the log. */

/** Of the names of members. Undefined if nobody came or left. */
export function describeChanges(
  before: Iterable<string>,
  after: Iterable<string>,
): { readonly joined?: string; readonly left?: string; readonly members: number } | undefined {
  const [old, now] = [new Set(before), new Set(after)];
  const joined = [...now].filter((name) => !old.has(name)).join(', ');
  const left = [...old].filter((name) => !now.has(name)).join(', ');
  if (joined === '' && left === '') return undefined;
  return { ...(joined === '' ? {} : { joined }), ...(left === '' ? {} : { left }), members: now.size };
}
