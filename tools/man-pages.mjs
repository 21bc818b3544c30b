// Writes man/: a page for each command of the built program, those below it included, from what the commands say of themselves.
//
// Usage: node tools/man-pages.mjs [FOLDER], after `npm run build`. Without FOLDER, package.json gets the list of them, by which npm
// installs them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createProgram } from '../dist/cli/program.js';
import { exitCodes } from '../dist/cli/terminal/exit-codes.js';

const folder = process.argv[2] ?? 'man';
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const program = await createProgram();
const pages = ['hopline', ...program.commands.map((command) => `hopline-${command.name()}`)];

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [at, command] of [program, ...program.commands].entries())
  writeFileSync(path.join(folder, `${pages[at]}.1`), `${pageOf(command, pages[at])}\n`);
if (process.argv[2] === undefined) {
  const man = pages.map((page) => `man/${page}.1`).sort();
  writeFileSync('package.json', `${JSON.stringify({ ...manifest, man }, null, 2)}\n`);
}

function pageOf(command, name) {
  const others = pages.filter((page) => page !== name && (command === program || page === 'hopline'));
  return [
    // Without a date: nothing in it may change but with the commands.
    `.TH ${name.toUpperCase()} 1 "" "hopline ${manifest.version}" "User Commands"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(lower(command.summary() || command.description()))}`,
    '.SH SYNOPSIS',
    ...synopsisOf(command),
    '.SH DESCRIPTION',
    ...paragraphs(command.description()),
    ...partsOf(command, '.SH'),
    ...(command === program ? commandsOf() : command.commands.flatMap(sectionOf)),
    '.SH "EXIT STATUS"',
    ...Object.values(exitCodes).flatMap(({ code, meaning }) => ['.TP', `.B ${code}`, plain(meaning)]),
    ...(command === program ? placesOf() : []),
    '.SH "SEE ALSO"',
    ...others.map((page, index) => `.BR ${plain(page)} (1)${index < others.length - 1 ? ',' : ''}`),
  ].join('\n');
}

function commandsOf() {
  const rows = program.commands.flatMap((one, at) => [
    '.TP',
    `.BR ${plain(pages[at + 1])} (1)`,
    plain(one.summary() || one.description()),
  ]);
  return ['.SH COMMANDS', ...rows];
}

/** A command below a command stands on its page. */
function sectionOf(command) {
  const heading = `.SH "${wordsOf(command).toUpperCase()}"`;
  return [heading, ...synopsisOf(command), '.PP', ...paragraphs(command.description()), ...partsOf(command, '.SS')];
}

/** `hopline key new`. */
function wordsOf(command) {
  return command.parent ? `${wordsOf(command.parent)} ${command.name()}` : command.name();
}

function synopsisOf(command) {
  return [`.B ${plain(wordsOf(command))}`, plain(command.usage())];
}

/** Arguments, options and examples, each below a heading. */
function partsOf(command, heading) {
  const help = command.createHelp();
  const [given, options] = [help.visibleArguments(command), help.visibleOptions(command)];
  const examples = examplesOf(command);
  return [
    ...(given.length > 0 ? [`${heading} ARGUMENTS`] : []),
    ...given.flatMap((one) => ['.TP', `.I ${plain(one.name())}`, plain(help.argumentDescription(one))]),
    ...(options.length > 0 ? [`${heading} OPTIONS`] : []),
    ...options.flatMap((one) => ['.TP', `.B ${plain(one.flags)}`, plain(help.optionDescription(one))]),
    ...(examples.length > 0 ? [`${heading} EXAMPLES`, '.nf', ...examples.map(plain), '.fi'] : []),
  ];
}

/** What the help shows behind `Example:`. */
function examplesOf(command) {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  const [, examples = ''] = /\nExamples?:\n([\s\S]*?)(\n\n|\nExit codes|$)/.exec(help) ?? [];
  return examples.split('\n').filter((line) => line !== '');
}

function placesOf() {
  return [
    '.SH FILES',
    ...rows([
      ['~/.config/hopline/config.yaml', 'the user’s settings: routes with names, and flags that are always given'],
      ['~/.config/hopline/id.key', 'the key by which nodes know the user'],
      ['~/.config/hopline/known_nodes', 'the keys of nodes that the user knows'],
    ]),
    '.SH ENVIRONMENT',
    ...rows([
      ['HOPLINE_CONFIG', 'the file of settings'],
      ['HOPLINE_KEY_FILE', 'the file of the key, as --identity'],
      ['HOPLINE_LIMIT_RATE', 'and the like: HOPLINE_ and the name of a flag in capitals, - as _'],
      ['XDG_CONFIG_HOME', 'the directory in place of ~/.config'],
    ]),
  ];
}

function rows(all) {
  return all.flatMap(([name, text]) => ['.TP', `.B ${plain(name)}`, plain(text)]);
}

function paragraphs(text) {
  return text.split('\n').map(plain);
}

function lower(text) {
  return text.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()).replace(/\.$/, '');
}

/** Text that roff shows as it stands: no requests, no escapes, hyphens that can be copied. */
function plain(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replace(/[~^`]/g, (mark) => ({ '~': '\\(ti', '^': '\\(ha', '`': '\\(ga' })[mark])
    .replace(/^([.'])/, '\\&$1');
}
