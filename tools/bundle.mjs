// Bundles the program into dist/bin/: a command that loads eighty files and packages from the disk takes twice as long to start.
//
// The parts of it that only some commands need are loaded when they are. Packages that no transfer needs stay packages, as do
// those with native code; of the others the licences go along. Names are kept, since they stand in stacks.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const folder = 'dist/bin';
const inside = ['commander', 'progress', 'valibot'];
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const outside = Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !inside.includes(name));

const { metafile } = await build({
  entryPoints: ['src/cli/main.ts'],
  outdir: folder,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: outside,
  // What is no ES module asks for its modules by this function.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module';const require=makeRequire(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});
chmodSync(path.join(folder, 'main.js'), 0o755);

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []),
);
const licences = [...packages].sort().map((name) => {
  const home = path.join('node_modules', name);
  const file = readdirSync(home).find((each) => /^licen[cs]e/i.test(each));
  if (file === undefined) throw new Error(`${name} has no licence that could go along`);
  return `${name}\n\n${readFileSync(path.join(home, file), 'utf8').trim()}\n`;
});
writeFileSync(path.join(folder, 'LICENSES.txt'), licences.join('\n---\n\n'));
