/**
 * The lines that the program prints: talk on stderr, results as rows or as JSON.
 *
 * Invariant: whatever a text contains, it becomes one line and moves no cursor.
 */

import { once } from 'node:events';
import { escapeText, safeText } from '../../core/text.ts';

/** A line of talk. */
export function say(text: string): void {
  process.stderr.write(`${safeText(text)}\n`);
}

/** A line of results. */
export function print(text: string): void {
  process.stdout.write(`${escapeText(text)}\n`);
}

/** Lines of results at a terminal, in place of `over`, those that were printed last. */
export function printOver(over: readonly string[], lines: readonly string[]): void {
  const rows = over.reduce((sum, line) => sum + rowsOf(line), 0);
  // A cursor that goes up stops at the first line of the screen.
  const up = rows > 0 ? `\u001b[${rows}A\r\u001b[J` : '';
  process.stdout.write(`${up}${lines.map((line) => `${escapeText(line)}\n`).join('')}`);
}

/** The first of the lines, as many as a screen has room for with the cursor below them; at least one. */
export function onScreen(lines: readonly string[]): readonly string[] {
  let left = (process.stdout.rows || 24) - 1;
  const end = lines.findIndex((line) => {
    left -= rowsOf(line);
    return left < 0;
  });
  return end < 0 ? lines : lines.slice(0, Math.max(1, end));
}

/** How many rows of the terminal a line takes: one that is longer than the terminal is wide goes on in the next. */
function rowsOf(line: string): number {
  return Math.max(1, Math.ceil(escapeText(line).length / (process.stdout.columns || 80)));
}

/** Labels and texts as lines, the texts below each other. */
export function formatRows(rows: readonly (readonly [label: string, text: string])[]): string {
  return rows.map(([label, text]) => `${label.padEnd(9)} ${safeText(text)}\n`).join('');
}

/** A value as a line of JSON. */
export function jsonLine(value: object): string {
  return `${escapeText(JSON.stringify(value))}\n`;
}

/** Results of any length, no faster than their reader takes them. */
export class LongResults {
  readonly #stream: NodeJS.WritableStream;
  #isRead = true;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
    stream.once('error', () => {
      this.#isRead = false;
    });
  }

  /** Writes a text; false once nobody reads any more, as behind `| head`. */
  async write(text: string): Promise<boolean> {
    if (this.#isRead && !this.#stream.write(text)) await once(this.#stream, 'drain').catch(() => {});
    return this.#isRead;
  }
}
