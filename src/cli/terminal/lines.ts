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

/** Lines of results at a terminal, in place of the `over` lines that were printed last. */
export function printOver(over: number, lines: readonly string[]): void {
  // A cursor that goes up stops at the first line of the screen.
  const up = over > 0 ? `\u001b[${over}A\r\u001b[J` : '';
  process.stdout.write(`${up}${lines.map((line) => `${escapeText(line)}\n`).join('')}`);
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
