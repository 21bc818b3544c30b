// Makes hopline-VERSION-PLATFORM-ARCH/ in the folder that is named, or here: the program as one executable, for machines without Node.
//
// Usage: node tools/single-executable.mjs [FOLDER], after `npm run build`. The executable is the Node that runs this, with the program
// inside: from Node 25.5 on by itself (--build-sea), before by postject, which npm fetches. Beside it are the packages with native
// code; where those are missing, or do not load, the program takes its portable ways.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { bundleScripts, bundleStart, licencesOf } from './bundling.mjs';

const { platform, arch } = process;
const version = JSON.parse(readFileSync('package.json', 'utf8')).version;
const out = path.resolve(process.argv[2] ?? '.', `hopline-${version}-${platform}-${arch}`);
const executable = path.join(out, platform === 'win32' ? 'hopline.exe' : 'hopline');
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const postject = 'postject@1.0.0-alpha.6';
/** With native code, what those of them need, and the client of a registry, which few have use for. */
const beside = ['koffi', '@koromix', '@napi-rs', '@redis'];
/** What is of no use once it is built. */
const superfluous = /[/\\](doc|vendor|native|.*\.(md|d\.ts|cc|hh|inc|lib))$/;

// Below the packages, which are loaded while the scripts are compiled.
const work = mkdtempSync(path.resolve('dist', 'single-'));
try {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const apart = ['cli/process/signals', 'cli/process/exceptions'];
  const plugins = [{ name: 'inside', setup: bringInside }];
  const builds = [await bundleStart(work, { plugins }), ...(await bundleScripts(work, { apart, plugins }))];
  // To be compiled, scripts are run outside, with the modules that they will find in the executable.
  for (const name of apart)
    copyFileSync(`dist/bin/${path.basename(name)}.js`, path.join(work, `${path.basename(name)}.js`));
  writeFileSync(path.join(work, 'package.json'), '{ "type": "commonjs" }\n');
  run(process.execPath, ['tools/precompile.mjs', work]);
  makeExecutable();
  for (const name of beside) {
    const from = path.join('node_modules', name);
    const to = path.join(out, 'node_modules', name);
    if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (file) => !superfluous.test(file) });
  }
  copyFileSync('LICENSE', path.join(out, 'LICENSE'));
  writeFileSync(
    path.join(out, 'LICENSES.txt'),
    `${licencesOf(builds)}\n---\n\nnode ${process.version}: https://github.com/nodejs/node/blob/${process.version}/LICENSE\n`,
  );
  run(executable, ['--version']);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function makeExecutable() {
  const blob = path.join(work, 'program.blob');
  const config = path.join(work, 'single.json');
  const assets = ['program.js', 'program.cache', 'client.js', 'client.cache'];
  const makesItself =
    process.allowedNodeEnvironmentFlags.has('--build-sea') ||
    spawnSync(process.execPath, ['--help'], { encoding: 'utf8' }).stdout.includes('--build-sea');
  writeFileSync(
    config,
    JSON.stringify({
      main: path.join(work, 'main.js'),
      output: makesItself ? executable : blob,
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      assets: Object.fromEntries(assets.map((name) => [name, path.join(work, name)])),
    }),
  );
  if (makesItself) run(process.execPath, ['--build-sea', config]);
  else {
    run(process.execPath, ['--experimental-sea-config', config]);
    copyFileSync(process.execPath, executable);
    chmodSync(executable, 0o755);
    if (platform === 'darwin') run('codesign', ['--remove-signature', executable]);
    const segment = platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
    run('npm', [
      'exec',
      '--yes',
      '--',
      postject,
      executable,
      'NODE_SEA_BLOB',
      blob,
      '--sentinel-fuse',
      fuse,
      ...segment,
    ]);
  }
  if (platform === 'darwin') run('codesign', ['--sign', '-', executable]);
}

/** What is read from the package elsewhere is inside. */
function bringInside({ onResolve, onLoad }) {
  onResolve({ filter: /\/own-files\.ts$/ }, () => ({ path: path.resolve('src/cli/process/own-assets.ts') }));
  onLoad({ filter: /[/\\]core[/\\]software\.ts$/ }, () => ({
    contents: `export const softwareVersion = '${version}';\nexport const software = 'hopline/${version}';\n`,
  }));
  onLoad({ filter: /[/\\]admin[/\\]page-files\.ts$/ }, ({ path: file }) => {
    const names = ['page.html', 'page.css', 'icon.svg', 'page.js', 'markup.js', 'picture.js', 'chain.js'];
    const texts = names.map((name) => [name, readFileSync(path.join(path.dirname(file), 'page', name), 'utf8')]);
    const contents = `import * as script from './page/page.js';
const files = ${JSON.stringify(Object.fromEntries(texts))};
export const pageFiles = () => ({ read: async (name) => Buffer.from(files[name]), load: async () => script });
`;
    return { contents, resolveDir: path.dirname(file) };
  });
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    shell: platform === 'win32' && command === 'npm',
  });
  if (status !== 0) throw error ?? new Error(`${path.basename(command)} ended with ${status}`);
}
