import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { exitCodeOf, exitCodes, hintFor } from '../../src/cli/exit.ts';
import { defaultLimits, errorCodes } from '../../src/index.ts';
import { wireCodes } from '../../src/wire/refusal.ts';

const repository = new URL('../../', import.meta.url);

/** The cells of every table row of a document, without their padding. */
async function readRows(name: string): Promise<string[][]> {
  const text = await readFile(new URL(name, repository), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  return rows.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

test('docs/limits.md lists every limit with its default', async () => {
  const rows = (await readRows('docs/limits.md')).filter(([key]) => key?.startsWith('`'));
  const listed = rows.map(([key = '', value]) => [key.slice(1, -1), Number(value)]);
  assert.deepEqual(Object.fromEntries(listed), { ...defaultLimits });
});

test('docs/exit-codes.md lists every exit code and every error code with its hint', async () => {
  const rows = await readRows('docs/exit-codes.md');
  for (const { code, meaning } of Object.values(exitCodes)) {
    assert.ok(
      rows.some(([first, second]) => first === String(code) && second === meaning),
      `exit code ${code}`,
    );
  }
  const listed = rows.filter(([key]) => key?.startsWith('`')).map(([key, exit, , hint]) => [key, exit, hint]);
  const due = errorCodes.map((code) => [`\`${code}\``, String(exitCodeOf(code)), hintFor(code)]);
  assert.deepEqual(listed, due);
});

test('docs/protocol.md lists every code that a refusal may carry', async () => {
  const rows = await readRows('docs/protocol.md');
  for (const code of wireCodes)
    assert.ok(
      rows.some(([first]) => first === `\`${code}\``),
      code,
    );
});

test('every heading of the documents that the source points at exists', async () => {
  const files = (await readdir(new URL('src/', repository), { recursive: true })).filter((name) =>
    name.endsWith('.ts'),
  );
  for (const file of files) {
    const source = await readFile(new URL(`src/${file.replaceAll('\\', '/')}`, repository), 'utf8');
    for (const [, page = '', anchor] of source.matchAll(/(docs\/[\w-]+\.md)(?:#([\w-]+))?/g)) {
      const text = await readFile(new URL(page, repository), 'utf8');
      const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
        heading.toLowerCase().replaceAll(' ', '-'),
      );
      if (anchor !== undefined) assert.ok(headings.includes(anchor), `${file}: ${page}#${anchor}`);
    }
  }
});
