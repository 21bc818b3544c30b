/** What the ways of showing downloads have in common: labelled rows for people, events as JSON lines for scripts. */

const progressEveryMs = 500;

/** Said once where space cannot be reserved. */
export const sparseNotice = 'this disk cannot reserve space: it may still run full\n';

/** Labels and texts as lines, the texts below each other. */
export function formatRows(rows: readonly (readonly [label: string, text: string])[]): string {
  return rows.map(([label, text]) => `${label.padEnd(9)} ${text}\n`).join('');
}

/** Prints events as JSON, an object a line; `progress` only now and then. */
export function startJsonLines(stream: NodeJS.WritableStream): (event: string, fields: object) => void {
  let due = 0;
  return (event, fields) => {
    const now = performance.now();
    if (event === 'progress' && now < due) return;
    if (event === 'progress') due = now + progressEveryMs;
    stream.write(`${JSON.stringify({ event, ...fields })}\n`);
  };
}
