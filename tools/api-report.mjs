// Prints what the library offers: each public name with its declaration, and the declarations that those name in turn.
//
// Usage: node tools/api-report.mjs > docs/library/api.txt, after `npm run build`. A change of that file is a change of the public surface.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const modules = new Map();
const report = new Map();
for (const [, names, from] of readFileSync('dist/index.d.ts', 'utf8').matchAll(
  /^export (?:type )?\{ (.*?) \} from '(.*)';$/gm,
))
  for (const name of names.split(', ')) describe(name.replace(/^type /, ''), path.posix.join('dist', from));
const sorted = [...report].sort(([one], [other]) => (one < other ? -1 : 1));
process.stdout.write(`${sorted.map(([, text]) => text).join('\n\n')}\n`);

/** Adds the declaration of `name`, and those that it names. */
function describe(name, file) {
  const { declared, imported } = read(file);
  const text = declared.get(name);
  const elsewhere = imported.get(name);
  if (elsewhere) return describe(elsewhere.name, elsewhere.file);
  if (text === undefined || report.has(name)) return;
  report.set(name, text);
  for (const [word] of text.matchAll(/[A-Za-z_$][\w$]*/g)) if (word !== name) describe(word, file);
}

/** The declarations of a module without their comments, and what it has from other modules of ours. */
function read(file) {
  const known = modules.get(file);
  if (known) return known;
  const source = readFileSync(file.replace(/\.ts$/, '.d.ts').replace(/\.d\.d\.ts$/, '.d.ts'), 'utf8');
  const text = source.replace(/\/\*[\s\S]*?\*\/\s*/g, '').replace(/^\s*\n/gm, '');
  const [declared, imported] = [new Map(), new Map()];
  for (const [statement] of text.matchAll(/^\S(?:.*\n)(?:(?:[ })].*)\n)*/gm)) {
    const from = /^(?:import|export)\s(?:type )?\{([\s\S]*?)\} from '(\..*)';/.exec(statement);
    if (from) {
      for (const one of from[1].split(',')) {
        const [name = '', alias = name] = one
          .trim()
          .replace(/^type /, '')
          .split(' as ');
        imported.set(alias, { name, file: path.posix.join(path.posix.dirname(file), from[2]) });
      }
    }
    const [, name] =
      /^(?:export )?(?:declare )?(?:abstract )?(?:interface|class|type|function|const) (\w+)/.exec(statement) ?? [];
    if (name !== undefined)
      declared.set(name, `${declared.has(name) ? `${declared.get(name)}\n` : ''}${statement.trimEnd()}`);
  }
  modules.set(file, { declared, imported });
  return { declared, imported };
}
