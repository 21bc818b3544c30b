/**
 * The program: its commands, and the exit code for the outcome of each.
 *
 * stdout carries results, stderr carries talk.
 * Invariant: only the command that runs is loaded; all commands are loaded only to list them in the help.
 */

import { Command, CommanderError } from 'commander';
import { softwareVersion } from '../core/software.ts';
import { systemCode, writeError } from '../core/system-errors.ts';
import { safeText } from '../core/text.ts';
import { loading } from './process/exceptions.ts';
import { isService } from './process/signals.ts';
import { refuseEmpty } from './settings/flag-values.ts';
import { exitCodes, exitHelp } from './terminal/exit-codes.ts';
import { reportFailure } from './terminal/failure.ts';

// A reader that went away (`| head`) is no reason to fail: the work goes on without it. A disk that takes no results is told of in the end.
let unwritten: unknown;
process.stdout.on('error', (error) => {
  const isGone = process.stdout.isTTY || ['EPIPE', 'ECONNRESET'].includes(systemCode(error) ?? '');
  if (!isGone) unwritten ??= error;
});
process.stderr.on('error', () => {});

const commands: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  get: async () => (await import('./get/get-command.ts')).addGetCommand,
  put: async () => (await import('./put/put-command.ts')).addPutCommand,
  sync: async () => (await import('./get/sync-command.ts')).addSyncCommand,
  verify: async () => (await import('./verify/verify-command.ts')).addVerifyCommand,
  ls: async () => (await import('./ls/ls-command.ts')).addLsCommand,
  stat: async () => (await import('./ls/stat-command.ts')).addStatCommand,
  routes: async () => (await import('./settings/routes-command.ts')).addRoutesCommand,
  trace: async () => (await import('./trace/trace-command.ts')).addTraceCommand,
  node: async () => (await import('./node/node-command.ts')).addNodeCommand,
  gateway: async () => (await import('./gateway-command.ts')).addGatewayCommand,
  send: async () => (await import('./send/send-command.ts')).addSendCommand,
  cache: async () => (await import('./cache-command.ts')).addCacheCommand,
  fetch: async () => (await import('./fetch/fetch-command.ts')).addFetchCommand,
  check: async () => (await import('./check-command.ts')).addCheckCommand,
  key: async () => (await import('./key/key-command.ts')).addKeyCommand,
  password: async () => (await import('./password-command.ts')).addPasswordCommand,
  demo: async () => (await import('./demo/demo-command.ts')).addDemoCommand,
  completion: async () => (await import('./completion/completion-command.ts')).addCompletionCommand,
};

/** Runs the command that `argv` names; resolves to the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let failure: unknown;
  try {
    await runCommand(argv);
    // A service has done more than print.
    if (isService) return exitCodes.ok.code;
  } catch (error) {
    failure = error;
  }
  const exitCode = exitCodeFor(failure);
  // A file tells in this turn what became of the last line.
  await new Promise((resolve) => setImmediate(resolve));
  if (unwritten === undefined || comesFrom(failure, unwritten)) return exitCode;
  const exitCodeOfOutput = reportFailure(writeError('the output', unwritten));
  return exitCode === exitCodes.ok.code ? exitCodeOfOutput : exitCode;
}

/** Throws what the command does, and `CommanderError` where there was only help, or a mistake, to print. */
async function runCommand(argv: readonly string[]): Promise<void> {
  const [first, asked] = argv.slice(2);
  // What completes the line of a command needs that command; a shell says `complete -- WORDS`.
  const isComplete = first === 'complete';
  const program = await createProgram(isComplete ? argv[4] : first);
  if (first === 'help' && asked !== undefined && !Object.hasOwn(commands, asked)) {
    program.error(`error: unknown command '${safeText(asked)}'`);
  }
  if (isComplete) (await import('./completion/completion-command.ts')).addCompleteCommand(program);
  await program.parseAsync(argv);
}

function exitCodeFor(failure: unknown): number {
  if (failure === undefined) return exitCodes.ok.code;
  if (failure instanceof CommanderError) return failure.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code;
  return reportFailure(failure);
}

function comesFrom(failure: unknown, cause: unknown): boolean {
  return failure === cause || (failure instanceof Error && comesFrom(failure.cause, cause));
}

/** The program with the command `first`, or with all of them where that is none. */
export async function createProgram(first?: string): Promise<Command> {
  const program = new Command('hopline')
    .description('Moves files through a chain of machines that cannot all see each other.')
    .version(softwareVersion)
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100), minWidthToWrap: 20 })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'hopline: ')) })
    .showHelpAfterError('  hint: see --help')
    .exitOverride();
  for (const load of commandsFor(first)) (await loading(load))(program);
  program.addHelpText('after', `\nExample:\n  $ hopline get input.txt\n${exitHelp()}`);
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    if (command !== program) {
      command.addHelpText('after', '\nExit codes: see hopline --help').hook('preAction', (_, due) => refuseEmpty(due));
    }
    command.exitOverride().showHelpAfterError('  hint: see --help');
  }
  return program;
}

/** The commands to load for a command line that begins with `first`. */
function commandsFor(first = ''): readonly (() => Promise<(program: Command) => void>)[] {
  return Object.hasOwn(commands, first) && commands[first] ? [commands[first]] : Object.values(commands);
}
