// Writes docs/cli/: the help of every command of the built program, a page for each, those below it included.
//
// Usage: node tools/cli-reference.mjs [FOLDER], after `npm run build`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../dist/cli/program.js';

const folder = process.argv[2] ?? 'docs/cli';
const commands = await listCommands([]);
const names = commands.filter(({ length }) => length === 1).map(([name]) => name);

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const name of names) writePage(name, [await sectionsOf(commands.filter(([first]) => first === name))]);
writePage('hopline', [
  await sectionsOf([[]]),
  `Each command has a page: ${names.map((name) => `[${name}](${name}.md)`).join(', ')}. Exit codes and hints are in\n[exit codes](../exit-codes.md).`,
]);

function writePage(name, parts) {
  writeFileSync(
    path.join(folder, `${name}.md`),
    `# ${name === 'hopline' ? name : `hopline ${name}`}\n\n${parts.join('\n\n')}\n`,
  );
}

/** What the commands say of themselves; those below the first have a heading each. */
async function sectionsOf(all) {
  const sections = [];
  for (const [at, command] of all.entries()) {
    const heading = at > 0 ? `## hopline ${command.join(' ')}\n\n` : '';
    sections.push(`${heading}\`\`\`text\n${await helpOf(command)}\n\`\`\``);
  }
  return sections.join('\n\n');
}

/** A command and those below it, as words. */
async function listCommands(above) {
  const [, list = ''] = (await helpOf(above)).split('\nCommands:\n');
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name).filter((name) => name !== 'help');
  const below = [];
  for (const name of names) below.push(...(await listCommands([...above, name])));
  return [above, ...below];
}

/** What the program prints for `--help`; run in this process, since to start the program takes longer than the help does. */
async function helpOf(command) {
  let help = '';
  const { write } = process.stdout;
  process.stdout.write = (text) => {
    help += text;
    return true;
  };
  try {
    await run([process.execPath, 'hopline', ...command, '--help']);
  } finally {
    process.stdout.write = write;
  }
  // The codes are the same for all, and have a document of their own.
  return help.replace(/\n+Exit codes:[\s\S]*$/, '').trimEnd();
}
