// Prints docs/cli.md: the help of every command of the built program, in one document.
//
// Usage: node tools/cli-reference.mjs > docs/cli.md, after `npm run build`.
import { run } from '../dist/cli/program.js';

console.log(`# Commands and flags

What \`hopline --help\` and \`hopline COMMAND --help\` say. Exit codes and hints are in [exit-codes.md](exit-codes.md).`);
for (const command of await listCommands([])) {
  console.log(`\n## ${['hopline', ...command].join(' ')}\n\n\`\`\`text\n${await helpOf(command)}\n\`\`\``);
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
