/** The screens of docs/trace.md are what the program draws today, but for its figures. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { repository } from '../support/repository.ts';

/** Text without what another run may have otherwise: figures, and the room that they take. */
const formOf = (text: string) => text.replace(/~?\d+(\.\d+)?/g, '0').replace(/ +/g, ' ');

test('docs/trace.md shows what a trace draws, at 100 and at 60 columns', async () => {
  const { drawScreens } = await import(new URL('tools/trace-screens.mjs', repository).href);
  const text = await readFile(new URL('docs/trace.md', repository), 'utf8');
  for (const [columns, lines] of (await drawScreens()) as Map<number, string[]>) {
    const [, shown = ''] =
      new RegExp(`<!-- screen ${columns} -->\\n\\n\`\`\`text\\n([\\s\\S]*?)\n\`\`\``).exec(text) ?? [];
    assert.equal(formOf(shown), formOf(lines.join('\n')), 'npm run screens writes them anew');
    for (const line of [...lines, ...shown.split('\n')]) assert.ok(line.length <= columns, line);
  }
});
