// Prints docs/cli.md: the help of every command of the built program, in one document.
//
// Usage: node tools/cli-reference.mjs > docs/cli.md, after `npm run build`.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const commands = listCommands([]);
console.log(`# Commands and flags

What \`hopline --help\` and \`hopline COMMAND --help\` say. Exit codes and hints are in [exit-codes.md](exit-codes.md).`);
for (const command of commands) {
  console.log(`\n## ${['hopline', ...command].join(' ')}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``);
}

/** A command and those below it, as words. */
function listCommands(above) {
  const [, list = ''] = helpOf(above).split('\nCommands:\n');
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name).filter((name) => name !== 'help');
  return [above, ...names.flatMap((name) => listCommands([...above, name]))];
}

function helpOf(command) {
  const help = execFileSync(process.execPath, [program, ...command, '--help'], { encoding: 'utf8' });
  // The codes are the same for all, and have a document of their own.
  return help.replace(/\n+Exit codes:[\s\S]*$/, '').trimEnd();
}
