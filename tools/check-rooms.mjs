// Checks the floors of src/: what each folder imports.
//
// docs/architecture.md says what a folder is for. Circles within a folder are the linter's to find.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What each room may import; what is no room of these may import them all. */
const floors = {
  core: [],
  wire: ['core'],
  io: ['core', 'wire'],
  pool: ['core', 'wire'],
  secure: ['core', 'wire', 'io'],
  node: ['core', 'wire', 'io', 'pool', 'secure'],
  client: ['core', 'wire', 'io', 'pool', 'secure'],
  gateway: ['core', 'wire', 'io', 'pool'],
  config: ['core', 'wire', 'io', 'pool', 'node', 'client', 'gateway', 'http-service.ts', 'site-text.ts'],
};

const root = path.resolve(process.argv[2] ?? 'src');
const files = readdirSync(root, { recursive: true })
  .map((name) => name.split(path.sep).join('/'))
  .filter((name) => name.endsWith('.ts'))
  .sort();
const texts = new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));
const problems = [...findForeignImports()];
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
