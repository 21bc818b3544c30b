// Checks the rooms of src/: what each imports, how full it is, and that no name means two things.
//
// docs/architecture.md says what a room is for. Circles within a room are the linter's to find.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What each room may import; what is no room of these may import them all. */
const floors = {
  core: [],
  wire: ['core'],
  io: ['core', 'wire'],
  pool: ['core', 'wire'],
  http: ['core', 'wire', 'io'],
  secure: ['core', 'wire', 'io'],
  node: ['core', 'wire', 'io', 'pool', 'secure'],
  client: ['core', 'wire', 'io', 'pool', 'secure'],
  gateway: ['core', 'wire', 'io', 'pool', 'http'],
  fetch: ['core', 'wire', 'io', 'http', 'gateway'],
  sites: ['core', 'wire', 'io', 'http', 'node', 'client', 'gateway'],
  admin: ['core', 'wire', 'io', 'pool', 'http', 'node', 'gateway', 'sites'],
  config: ['core', 'wire', 'io', 'pool', 'http', 'node', 'gateway', 'sites', 'admin'],
};
const most = { filesInFolder: 12, linesInFile: 260 };

const root = path.resolve(process.argv[2] ?? 'src');
const files = readdirSync(root, { recursive: true })
  .map((name) => name.split(path.sep).join('/'))
  .filter((name) => name.endsWith('.ts'))
  .sort();
const texts = new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));
const problems = [...findForeignImports(), ...findFullFolders(), ...findLongFiles(), ...findNamesakes()];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function* findForeignImports() {
  for (const [file, text] of texts) {
    const room = file.split('/')[0];
    const allowed = floors[room];
    if (!allowed) continue;
    for (const [, specifier] of text.matchAll(/(?:\bfrom|\bimport\()\s*'(\.[^']+)'/g)) {
      const imported = path.posix.join(path.posix.dirname(file), specifier).split('/')[0];
      if (imported !== room && !allowed.includes(imported))
        yield `src/${file}: ${room}/ does not import ${specifier}; it may import ${allowed.join(', ') || 'nothing of ours'}`;
    }
  }
}

function* findFullFolders() {
  for (const [folder, inside] of group(files, path.posix.dirname))
    if (inside.length > most.filesInFolder)
      yield `src/${folder}: ${inside.length} files, and a folder has at most ${most.filesInFolder}`;
}

function* findLongFiles() {
  for (const [file, text] of texts) {
    const lines = text.split('\n').length - 1;
    if (lines > most.linesInFile) yield `src/${file}: ${lines} lines, and a file has at most ${most.linesInFile}`;
  }
}

/** Files, and what they export: a name that stands in two places means two things, or one thing twice. */
function* findNamesakes() {
  for (const [name, same] of group(files, path.posix.basename))
    if (same.length > 1) yield `${name} is the name of ${same.length} files: ${same.join(', ')}`;
  const exported = files.flatMap((file) => exportsOf(texts.get(file)).map((name) => ({ name, file })));
  for (const [name, same] of group(exported, ({ name }) => name))
    if (same.length > 1) yield `${name} is exported from ${same.map(({ file }) => file).join(', ')}`;
}

/** The names of types and functions; what is passed on from another module is exported there. */
function exportsOf(text) {
  const declared = text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|type|enum) ([A-Za-z_$][\w$]*)(?=[\s(<=;])/gm,
  );
  const arrows = text.matchAll(/^export const ([A-Za-z_$][\w$]*)[^=\n]*=\s*(?:async )?\([^)]*\)[^=\n]*=>/gm);
  return [...new Set([...declared, ...arrows].map(([, name]) => name))];
}

function group(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
