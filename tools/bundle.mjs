// Bundles the program into dist/bin/: a command that loads eighty files and packages from the disk takes twice as long to start.
//
// All of it is one script, of which a command runs the parts that it needs, and which is loaded together with what V8 made of it
// (src/cli/process/load-program.ts). Those of a client have another one to themselves, half as long. Beside these
// stand the start, what start and program share, and what has to import a module.
// They are CommonJS: for a single file, Node's loader of ES modules takes longer than the file.
// Packages with native code stay packages, and so does a client that hardly anybody needs; of the others the licences go along.
// Names are kept, since they stand in stacks.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { clientCommands } from '../dist/cli/client-commands.js';

const folder = 'dist/bin';
const outside = ['@napi-rs/blake-hash', 'koffi', '@redis/client'];
/** Files of their own. What is imported by several of the others exists once. */
const apart = ['cli/process/signals', 'cli/process/exceptions', 'admin/page'];
const ownUrl = "const ownUrl=require('node:url').pathToFileURL(__filename).href;";
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
};
const bundles = [
  await build({
    ...options,
    entryPoints: ['cli/main', ...apart].map((name) => ({ in: `src/${name}.ts`, out: path.basename(name) })),
    banner: { js: ownUrl },
    plugins: [{ name: 'apart', setup: leaveApart }],
  }),
  await bundleScript('program'),
  await bundleScript('client', clientCommands),
];
chmodSync(path.join(folder, 'main.js'), 0o755);
writeFileSync(path.join(folder, 'package.json'), '{ "type": "commonjs" }\n');
writeFileSync(path.join(folder, 'LICENSES.txt'), licencesOf(bundles));

/** The whole program in one script, or some of its commands alone. */
function bundleScript(out, commands) {
  return build({
    ...options,
    entryPoints: [{ in: 'src/cli/program.ts', out }],
    // V8 runs a script, and it is Node that knows modules: the script is a function that gets what a module gets.
    banner: { js: `(function(exports,require,module,__filename,__dirname){${ownUrl}` },
    footer: { js: '})' },
    // Nor does a script from a cache know how to import one.
    supported: { 'dynamic-import': false },
    plugins: [
      { name: 'apart', setup: leaveApart },
      { name: 'commands', setup: (plugin) => leaveOut(plugin, commands) },
    ],
  });
}

function leaveApart({ onResolve }) {
  onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path: name, resolveDir }) => {
    const file = path.relative('src', path.join(resolveDir, name)).replace(/\.ts$/, '');
    if (kind === 'entry-point' || !apart.includes(file)) return undefined;
    return { path: `./${path.basename(file)}.js`, external: true };
  });
}

function leaveOut({ onResolve }, commands) {
  onResolve({ filter: /-command\.ts$/ }, ({ kind, path: name }) => {
    const isOut = kind === 'dynamic-import' && commands?.includes(path.basename(name, '-command.ts')) === false;
    return isOut ? { path: name, external: true } : undefined;
  });
}

function licencesOf(builds) {
  const inputs = builds.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const packages = new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  const licences = [...packages].sort().map((name) => {
    const home = path.join('node_modules', name);
    const file = readdirSync(home).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${name} has no licence that could go along`);
    return `${name}\n\n${readFileSync(path.join(home, file), 'utf8').trim()}\n`;
  });
  return licences.join('\n---\n\n');
}
