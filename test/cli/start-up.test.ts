/** What a command loads before it runs: its own modules, found by the imports that stand in them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clientCommands } from '../../src/cli/client-commands.ts';
import { repository } from '../support/repository.ts';

const source = fileURLToPath(new URL('src', repository));

/** All that the modules load by declarations, and what those load: paths below src/, and names of packages. */
function loadedBy(...modules: readonly string[]): ReadonlySet<string> {
  const loaded = new Set(modules);
  for (const module of loaded) {
    if (!module.endsWith('.ts')) continue;
    const text = readFileSync(path.join(source, module), 'utf8');
    for (const [, from = ''] of text.matchAll(/^(?:import|export) (?!type )(?:[^;']* from )?'([^']+)';/gm)) {
      if (from.startsWith('.')) loaded.add(path.posix.join(path.posix.dirname(module), from));
      else if (!from.startsWith('node:')) loaded.add(from);
    }
  }
  return loaded;
}

const program = ['cli/main.ts', 'cli/process/load-program.ts', 'cli/program.ts'];

test('before the rest is loaded, the listeners and the version alone are', () => {
  const loaded = [...loadedBy('cli/main.ts')].sort();
  const listeners = ['exceptions', 'leave', 'signals'].map((name) => `cli/process/${name}.ts`);
  assert.deepEqual(loaded, ['cli/client-commands.ts', 'cli/main.ts', ...listeners, 'core/software.ts', 'core/text.ts']);
});

test('the program alone loads its parser of flags and nothing that moves files', () => {
  const loaded = [...loadedBy(...program)];
  assert.ok(loaded.includes('commander') && loaded.includes('core/software.ts'));
  assert.deepEqual(
    loaded.filter((name) => !/^(cli|core)\//.test(name)),
    ['commander'],
  );
});

/** Where the program has its commands, by their names. */
const modules = new Map(
  Array.from(
    readFileSync(path.join(source, 'cli/program.ts'), 'utf8').matchAll(/^ {2}(\w+): .* import\('\.\/([^']+)'/gm),
    ([, name = '', module = '']) => [name, `cli/${module}`],
  ),
);

for (const command of clientCommands) {
  test(`${command} loads neither node, gateway nor configuration, and of packages the three it needs`, () => {
    const module = modules.get(command);
    assert.ok(module, `${command} is no command`);
    const loaded = [...loadedBy(...program, module)];
    assert.ok(loaded.includes('core/errors.ts'));
    const strange = loaded.filter((name) => /^(node|gateway|config|sites|fetch|http)\/|^[a-z-]+\.ts$/.test(name));
    assert.deepEqual(strange, []);
    const packages = loaded.filter((name) => !name.endsWith('.ts'));
    assert.deepEqual(
      packages.filter((name) => !['commander', 'progress', 'valibot'].includes(name)),
      [],
    );
  });
}

for (const module of [
  'cli/get/get-files.ts',
  'cli/get/get-tree.ts',
  'client/download/download-tree.ts',
  'cli/terminal/prompt.ts',
  'cli/settings/read-settings.ts',
]) {
  test(`a get of one file does not load ${module}`, () => {
    assert.equal(loadedBy(...program, 'cli/get/get-command.ts').has(module), false);
  });
}
