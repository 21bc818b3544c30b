// Bundles the program into dist/bin/: a command that loads eighty files and packages from the disk takes twice as long to start.
//
// All of it is one file, of which a command runs the parts that it needs, and which is loaded together with what V8 made of it
// (src/cli/process/load-program.ts). Beside it stand the start, what start and program share, and what has to import a module.
// They are CommonJS: for a single file, Node's loader of ES modules takes longer than the file.
// Packages that no transfer needs stay packages, as do those with native code; of the others the licences go along. Names are
// kept, since they stand in stacks.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const folder = 'dist/bin';
// The last one is an ES module, which Node 20 does not let CommonJS load; fs-extra is an eighth of its size here.
const inside = ['commander', 'progress', 'valibot', 'fs-extra', 'mime'];
/** Files of their own. What is imported by several of the others exists once. */
const apart = ['cli/process/signals', 'cli/process/exceptions', 'admin/page'];
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const outside = Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !inside.includes(name));

const options = {
  outdir: folder,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20.18',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: outside,
  define: { 'import.meta.url': 'ownUrl' },
  metafile: true,
  logLevel: 'warning',
  plugins: [{ name: 'apart', setup: leaveApart }],
};
const ownUrl = "const ownUrl=require('node:url').pathToFileURL(__filename).href;";
const small = await build({
  ...options,
  entryPoints: ['cli/main', ...apart].map((name) => ({ in: `src/${name}.ts`, out: path.basename(name) })),
  banner: { js: ownUrl },
});
const large = await build({
  ...options,
  entryPoints: ['src/cli/program.ts'],
  // V8 runs a script, and it is Node that knows modules: the script is a function that gets what a module gets.
  banner: { js: `(function(exports,require,module,__filename,__dirname){${ownUrl}` },
  footer: { js: '})' },
  // Nor does a script from a cache know how to import one.
  supported: { 'dynamic-import': false },
});
chmodSync(path.join(folder, 'main.js'), 0o755);
writeFileSync(path.join(folder, 'package.json'), '{ "type": "commonjs" }\n');

const inputs = [small, large].flatMap(({ metafile }) => Object.keys(metafile.inputs));
const packages = new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
const licences = [...packages].sort().map((name) => {
  const home = path.join('node_modules', name);
  const file = readdirSync(home).find((each) => /^licen[cs]e/i.test(each));
  if (file === undefined) throw new Error(`${name} has no licence that could go along`);
  return `${name}\n\n${readFileSync(path.join(home, file), 'utf8').trim()}\n`;
});
writeFileSync(path.join(folder, 'LICENSES.txt'), licences.join('\n---\n\n'));

function leaveApart({ onResolve }) {
  onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path: name, resolveDir }) => {
    const file = path.relative('src', path.join(resolveDir, name)).replace(/\.ts$/, '');
    if (kind === 'entry-point' || !apart.includes(file)) return undefined;
    return { path: `./${path.basename(file)}.js`, external: true };
  });
}
