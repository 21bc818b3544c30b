/** What is published: the workflow that does it, and what package.json says of the package. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { repository } from '../support/repository.ts';

const read = (name: string) => readFile(new URL(name, repository), 'utf8');

interface Workflow {
  readonly on: { readonly push: { readonly tags: string[] } };
  readonly permissions: object;
  readonly jobs: {
    readonly npm: { readonly permissions: object; readonly steps: readonly { readonly run?: string }[] };
  };
}

test('a release is of a tag that is the version, verified, and published with where it was made', async () => {
  const { on, permissions, jobs } = parse(await read('.github/workflows/release.yml')) as Workflow;
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
  assert.deepEqual(on, { push: { tags: ['v*'] } });
  assert.deepEqual(permissions, { contents: 'read' });
  assert.deepEqual(jobs.npm.permissions, { contents: 'read', 'id-token': 'write' });
  const runs = jobs.npm.steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
  const [tag = '', install, verify, where = '', publish] = runs;
  assert.match(tag, /GITHUB_REF_NAME[\s\S]*CHANGELOG\.md/);
  assert.deepEqual(
    [install, verify, publish],
    ['npm ci', 'npm run verify', 'npm publish --provenance --access public'],
  );
  assert.ok('verify' in scripts);
  for (const key of ['repository.url', 'homepage', 'bugs.url']) assert.ok(where.includes(`${key}=`), key);
});

test('the package names files that are there, and the list of changes has its version', async () => {
  const { version, files, man, license } = JSON.parse(await read('package.json')) as Record<string, string & string[]>;
  for (const file of [...(files ?? []), ...(man ?? [])].filter((name) => !name.startsWith('!')))
    assert.ok(existsSync(new URL(file, repository)), file);
  assert.equal(license, 'MIT');
  assert.ok((await read('CHANGELOG.md')).includes(`\n## [${version}] - `));
});
