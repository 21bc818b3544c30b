// How the program is bundled: its start, and scripts that the start loads together with what V8 made of them.
//
// They are CommonJS: for a single file, Node's loader of ES modules takes longer than the file.
// Packages with native code stay packages, and so does a client that hardly anybody needs; of the others the licences go along.
// Names are kept, since they stand in stacks.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { clientCommands } from '../dist/cli/client-commands.js';

/** Packages that are not bundled. */
export const outside = ['@napi-rs/blake-hash', 'koffi', '@redis/client'];
const ownUrl = "const ownUrl=require('node:url').pathToFileURL(__filename).href;";
const options = {
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

/** The start, and what start and scripts share: `apart`, files of their own if they are to stand beside it. */
export function bundleStart(outdir, { apart = [], plugins = [] }) {
  return build({
    ...options,
    outdir,
    entryPoints: ['cli/main', ...apart].map((name) => ({ in: `src/${name}.ts`, out: path.basename(name) })),
    banner: { js: ownUrl },
    plugins: [leaveApart(apart), ...plugins],
  });
}

/** The whole program in one script, and once more the commands of a client. What is `apart` is asked for by its name. */
export function bundleScripts(outdir, { apart, plugins = [] }) {
  const scripts = Object.entries({ program: undefined, client: clientCommands });
  return Promise.all(
    scripts.map(([out, commands]) =>
      build({
        ...options,
        outdir,
        entryPoints: [{ in: 'src/cli/program.ts', out }],
        // V8 runs a script, and it is Node that knows modules: the script is a function that gets what a module gets.
        banner: { js: `(function(exports,require,module,__filename,__dirname){${ownUrl}` },
        footer: { js: '})' },
        // Nor does a script from a cache know how to import one.
        supported: { 'dynamic-import': false },
        plugins: [leaveApart(apart), { name: 'commands', setup: (plugin) => leaveOut(plugin, commands) }, ...plugins],
      }),
    ),
  );
}

/** The licences of the packages that were bundled. */
export function licencesOf(builds) {
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

function leaveApart(apart) {
  const setup = ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path: name, resolveDir }) => {
      const file = path.relative('src', path.join(resolveDir, name)).replace(/\.ts$/, '');
      if (kind === 'entry-point' || !apart.includes(file)) return undefined;
      return { path: `./${path.basename(file)}.js`, external: true };
    });
  return { name: 'apart', setup };
}

function leaveOut({ onResolve }, commands) {
  onResolve({ filter: /-command\.ts$/ }, ({ kind, path: name }) => {
    const isOut = kind === 'dynamic-import' && commands?.includes(path.basename(name, '-command.ts')) === false;
    return isOut ? { path: name, external: true } : undefined;
  });
}
