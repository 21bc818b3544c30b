/**
 * What may stand at the end of a command line, by what the commands say of themselves.
 *
 * Does not know shells: they look for files here themselves, where it is told that a file may stand there.
 * Invariant: each candidate begins with what was typed, and holds nothing that cannot be seen.
 */

import type { Argument, Command, Option } from 'commander';
import { escapeText } from '../../core/text.ts';
import { loadSettings } from '../settings/load-settings.ts';
import { describeRoutes } from '../terminal/show.ts';

export interface Offer {
  readonly word: string;
  readonly about?: string | undefined;
}

export interface Completion {
  /** What else may stand there: a file or a directory of this machine. */
  readonly files: 'files' | 'directories' | 'none';
  readonly candidates: readonly Offer[];
}

/** The commands that take names at the origin behind a route file, and not files here. */
const nameThere = ['get', 'ls', 'stat'];

const nothing: Completion = { files: 'none', candidates: [] };

/** `words`: what stands behind `hopline`, up to the cursor; the last one is completed. Never throws. */
export async function completeLine(program: Command, words: readonly string[]): Promise<Completion> {
  const typed = words.at(-1) ?? '';
  const { command, rest } = findCommand(program, words.slice(0, -1));
  const { files, candidates } = await complete(command, rest, typed).catch(() => nothing);
  const fitting = candidates.filter(({ word }) => word.startsWith(typed) && escapeText(word) === word);
  return { files, candidates: fitting };
}

/** The command that the first words name, and the words behind its name. */
function findCommand(program: Command, words: readonly string[]): { command: Command; rest: readonly string[] } {
  let [command, rest] = [program, words[0] === 'help' ? words.slice(1) : words];
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (!next) return { command, rest };
    [command, rest] = [next, rest.slice(1)];
  }
}

async function complete(command: Command, words: readonly string[], typed: string): Promise<Completion> {
  if (command.commands.length > 0 && words.length === 0 && !typed.startsWith('-')) return commandsOf(command);
  if (words.includes('--')) return completeOperand(command, words, typed);
  const last = words.at(-1);
  const open = command.options.find(
    (option) => takesValue(option) && last !== undefined && [option.long, option.short].includes(last),
  );
  if (open) return completeValue(open, '');
  const assigned = command.options.find((option) => takesValue(option) && typed.startsWith(`${option.long}=`));
  if (assigned) return completeValue(assigned, `${assigned.long}=`);
  return typed.startsWith('-') ? optionsOf(command) : completeOperand(command, words, typed);
}

function commandsOf(command: Command): Completion {
  const commands = command.createHelp().visibleCommands(command);
  const candidates = commands.map((one) => ({ word: one.name(), about: one.summary() || one.description() }));
  return { files: 'none', candidates };
}

function optionsOf(command: Command): Completion {
  const options = command.createHelp().visibleOptions(command);
  const candidates = options.map(({ long, short, description }) => ({ word: long ?? short ?? '', about: description }));
  return { files: 'none', candidates };
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** `before`: what stands in front of the value in the same word. */
function completeValue({ argChoices = [], flags }: Option, before: string): Completion {
  const candidates = argChoices.map((choice) => ({ word: `${before}${choice}` }));
  if (flags.includes('<DIR>')) return { files: 'directories', candidates };
  return { files: /<(FILE|PATH)>/.test(flags) ? 'files' : 'none', candidates };
}

async function completeOperand(command: Command, words: readonly string[], typed: string): Promise<Completion> {
  // As the command itself would read what stands before: it throws for what it would refuse.
  const { operands } = command.configureOutput({ writeErr: () => {} }).parseOptions([...words]);
  const all = command.registeredArguments;
  const at = Math.min(operands.length, all.length - 1);
  const argument = all[at];
  if (!argument || (operands.length > at && !argument.variadic)) return nothing;
  const named = command.options.some(({ long }) => long === '--via')
    ? all.findIndex((one) => one.name() === 'ROUTE_FILE')
    : -1;
  // The other way, the directory here stands before the route.
  const route = command.getOptionValue('up') ? 1 : named;
  const isOverVia = command.getOptionValue('via') !== undefined;
  if (route < 0 || at < route) return completeArgument(argument);
  if (isOverVia || at > route) {
    if (!nameThere.includes(command.name())) return { files: 'files', candidates: [] };
    return completeRemote(command, operands[route], typed);
  }
  const name = /^([^:]+):/.exec(typed)?.[1];
  const routes = [...((await loadSettings())?.routes ?? [])];
  if (name !== undefined && routes.some(([known]) => known === name)) return completeRemote(command, typed, typed);
  const candidates = routes.map(([known, ways]) => ({ word: `${known}:`, about: describeRoutes(ways) }));
  return { files: 'files', candidates };
}

function completeArgument(argument: Argument): Completion {
  if (argument.argChoices) return { files: 'none', candidates: argument.argChoices.map((word) => ({ word })) };
  return { files: /FILE/.test(argument.name()) ? 'files' : 'none', candidates: [] };
}

/** What the origin has, where the command asks for more than a route. */
async function completeRemote(command: Command, routeFile: string | undefined, typed: string): Promise<Completion> {
  if (command.registeredArguments.length < 2) return nothing;
  const { listRemoteNames } = await import('./remote-names.ts');
  const names = await listRemoteNames(command, routeFile, typed);
  return { files: 'none', candidates: names.map((word) => ({ word })) };
}
