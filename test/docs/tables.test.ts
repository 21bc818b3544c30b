import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exitCodeOf, exitCodes } from '../../src/cli/terminal/exit-codes.ts';
import { hintFor } from '../../src/core/failure/hints.ts';
import { defaultLimits, effectiveConfig, errorCodes } from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { wireCodes } from '../../src/wire/native/refusal.ts';
import { repository } from '../support/repository.ts';

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

interface KeySchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly items?: KeySchema;
  readonly anyOf?: readonly KeySchema[];
  readonly additionalProperties?: KeySchema | boolean;
}

/** The keys of a schema, as the documentation names them, with what they mean; all limits are one. */
function keysOf(schema: KeySchema, above = ''): (readonly [key: string, meaning: string | undefined])[] {
  return [schema, ...(schema.anyOf ?? [])].flatMap(({ properties = {}, items, additionalProperties: named }) => [
    ...Object.entries(properties).flatMap(([name, value]) => {
      const key = above === '' ? name : `${above}.${name}`;
      return [[key, value.description] as const, ...(key === 'limits' ? [] : keysOf(value, key))];
    }),
    ...(items ? keysOf(items, `${above}[]`) : []),
    ...(typeof named === 'object' ? keysOf(named, `${above}.NAME`) : []),
  ]);
}

test('docs/configuration.md lists every key with what it means', async () => {
  const schema = JSON.parse(await readFile(new URL('docs/hopline.schema.json', repository), 'utf8')) as KeySchema;
  const rows = (await readRows('docs/configuration.md')).filter((row) => row.length === 4 && row[0] !== 'key');
  const listed = rows
    .filter(([key]) => key?.startsWith('`'))
    .map(([key = '', , , meaning]) => [key.slice(1, -1), meaning]);
  assert.deepEqual(listed, keysOf(schema));
});

test('docs/configuration.md tells the defaults of pools and of the log', async () => {
  const rows = await readRows('docs/configuration.md');
  const pools = [{ name: 'NAME', members: [{ host: 'a', port: 1 as Port, weight: 2 }] }];
  const effective = effectiveConfig({ node: { pools }, log: { level: 'info', format: 'text' } });
  const { pools: shown, log } = effective as { pools: { NAME: { algorithm: string; health: object } }; log: object };
  const due = [
    ['pools.NAME.algorithm', shown.NAME.algorithm],
    ...Object.entries(shown.NAME.health).map(([key, value]) => [`pools.NAME.health.${key}`, value]),
    ...Object.entries(log).map(([key, value]) => [`log.${key}`, value]),
  ];
  for (const [key, value] of due) {
    assert.equal(rows.find(([first]) => first === `\`${key}\``)?.[2], String(value), key);
  }
});

test('docs/hopline.schema.json is what the definitions of the configuration say', async () => {
  const stored = JSON.parse(await readFile(new URL('docs/hopline.schema.json', repository), 'utf8'));
  const tool = fileURLToPath(new URL('tools/config-schema.mjs', repository));
  const made = execFileSync(process.execPath, [tool], {
    cwd: fileURLToPath(repository),
    encoding: 'utf8',
  });
  assert.deepEqual(JSON.parse(made), stored, 'run `npm run schema`');
});

test('docs/protocol/circuits.md lists every code that a refusal may carry', async () => {
  const rows = await readRows('docs/protocol/circuits.md');
  for (const code of wireCodes)
    assert.ok(
      rows.some(([first]) => first === `\`${code}\``),
      code,
    );
});

test('docs/security.md names tests that there are, for each attack', async () => {
  const text = await readFile(new URL('docs/security.md', repository), 'utf8');
  const [, tried = ''] = text.split('\n## Tried\n');
  const rows = tried
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const names = [...(row.split('|')[3] ?? '').matchAll(/`([\w/*-]+)`/g)].map(([, name = '']) => name);
    assert.ok(names.length > 0, row);
    for (const name of names) {
      const found = name.endsWith('/*') ? name.slice(0, -1) : `${name}.test.ts`;
      assert.ok(existsSync(new URL(`test/${found}`, repository)), name);
    }
  }
});
