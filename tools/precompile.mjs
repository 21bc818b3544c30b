// Writes *.cache into dist/bin/, or the folder that is named, in which the scripts are: what V8 made of each script of the program while it did what most runs do. V8 compiles a function when it
// is called for the first time, so that those which ran here are in there and the others are not.
//
// The commands run in this process, over loopback, and what they print is kept from the terminal.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadProgram } from '../dist/cli/process/load-program.js';

const folder = path.resolve(process.argv[2] ?? fileURLToPath(new URL('../dist/bin', import.meta.url)));
const scripts = { program: load('program'), client: load('client') };
const scratch = mkdtempSync(path.join(tmpdir(), 'hopline-build-'));
const inScratch = (name) => path.join(scratch, name);
let printed = '';
const streams = [process.stdout, process.stderr];
const writes = streams.map((stream) => stream.write);
for (const stream of streams) stream.write = (text) => keep(String(text));
let heard = () => {};
try {
  // Whoever builds may have settings of their own.
  for (const name of Object.keys(process.env)) if (name.startsWith('HOPLINE_')) delete process.env[name];
  process.env.XDG_CONFIG_HOME = scratch;
  writeFileSync(inScratch('file'), 'content\n');
  const stopped = run('program', 'node', '--listen', '127.0.0.1:0', '--root', scratch, '--writable');
  const [, address] = await Promise.race([printing(/^listening on (\S+)/m), stopped]);
  await run('client', 'get', '--via', address, 'file', '-o', inScratch('copy'));
  await run('client', 'put', '--via', address, inScratch('copy'));
} finally {
  for (const [index, stream] of streams.entries()) stream.write = writes[index];
  rmSync(scratch, { recursive: true });
}
for (const [name, { makeCache }] of Object.entries(scripts)) writeFileSync(inBin(`${name}.cache`), makeCache());
// The node would run on.
process.exit();

function load(name) {
  return loadProgram(inBin(`${name}.js`), []);
}

function inBin(name) {
  return path.join(folder, name);
}

async function run(script, ...args) {
  const code = await scripts[script].exports.run(['node', 'hopline', ...args]);
  if (code !== 0) throw new Error(`hopline ${args[0]} ended with ${code}:\n${printed}`);
}

function keep(text) {
  printed += text;
  heard();
  return true;
}

/** Settles with the match once what was printed has one. */
function printing(pattern) {
  return new Promise((resolve) => {
    heard = () => {
      const match = pattern.exec(printed);
      if (match) resolve(match);
    };
  });
}
