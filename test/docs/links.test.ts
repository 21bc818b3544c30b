/** Pages are short and listed; links of documents and comments lead to a file, and behind `#` to a heading of it. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { findPages, repository } from '../support/repository.ts';

const above = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'bench/README.md', 'chaos/README.md'];
const pages = [...above, ...(await findPages())];
const texts = new Map<string, string>();
for (const page of pages) texts.set(page, await readFile(new URL(page, repository), 'utf8'));

/** A document without what stands in its blocks of code. */
const proseOf = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, '');

/** The headings of a document, as their anchors are made of them. */
function anchorsOf(text: string): Set<string> {
  const headings = [...proseOf(text).matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** What is wrong with a link, or nothing. */
function faultOf(page: string, anchor: string): string | undefined {
  if (!existsSync(new URL(page, repository))) return `there is no ${page}`;
  const text = texts.get(page);
  if (anchor === '') return undefined;
  return text !== undefined && anchorsOf(text).has(anchor) ? undefined : `${page} has no heading #${anchor}`;
}

test('each link of a document leads to a file, and to a heading of it', () => {
  let links = 0;
  const faults = [...texts].flatMap(([page, text]) =>
    [...proseOf(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(([, file = '', anchor = '']) => {
      links += 1;
      const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
      const fault = faultOf(target, anchor);
      return fault && `${page}: ${fault}`;
    }),
  );
  assert.ok(links > 150);
  assert.deepEqual(faults.filter(Boolean), []);
});

test('no page has more than 300 lines, and the index leads to each', () => {
  const index = texts.get('docs/README.md') ?? assert.fail('no index');
  for (const page of pages.filter((each) => each.startsWith('docs/'))) {
    const lines = texts.get(page)?.split('\n').length ?? 0;
    assert.ok(lines <= 301, `${page} has ${lines} lines`);
    const isListed = page === 'docs/README.md' || index.includes(`](${page.slice('docs/'.length)}`);
    assert.ok(isListed, `docs/README.md does not list ${page}`);
  }
});

test('each document that a comment names is there, with that heading', async () => {
  const faults: string[] = [];
  for (const folder of ['src', 'test', 'tools', 'chaos', 'bench']) {
    const names = await readdir(new URL(`${folder}/`, repository), { recursive: true });
    for (const name of names.filter((each) => /\.(ts|mjs)$/.test(each))) {
      const file = `${folder}/${name.replaceAll('\\', '/')}`;
      const source = await readFile(new URL(file, repository), 'utf8');
      for (const [, page = '', anchor = ''] of source.matchAll(/(docs\/[\w/-]+\.md)(?:#([\w-]+))?/g)) {
        const fault = faultOf(page, anchor);
        if (fault) faults.push(`${file}: ${fault}`);
      }
    }
  }
  assert.deepEqual(faults, []);
});
