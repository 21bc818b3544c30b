/**
 * The program: commands, and what their outcome is as an exit code.
 *
 * stdout carries results, stderr carries talk.
 */

import { Command, CommanderError } from 'commander';
import { softwareVersion } from '../index.ts';
import { addCacheCommand } from './cache-command.ts';
import { addCheckCommand } from './check-command.ts';
import { addDemoCommand } from './demo-command.ts';
import { exitCodes, exitHelp } from './exit.ts';
import { addFetchCommand } from './fetch-command.ts';
import { addGatewayCommand } from './gateway-command.ts';
import { addGetCommand } from './get-command.ts';
import { addNodeCommand } from './node-command.ts';
import { addPutCommand } from './put-command.ts';
import { reportFailure } from './report.ts';
import { addSendCommand } from './send-command.ts';

// A reader that went away (`| head`) is no reason to fail: the work goes on without it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

/** Runs the command that `argv` names; resolves to the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = new Command('hopline')
    .description('Moves files through a chain of machines that cannot all see each other.')
    .version(softwareVersion)
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100), minWidthToWrap: 20 })
    .showHelpAfterError('  hint: see --help')
    .exitOverride();
  addGetCommand(program);
  addPutCommand(program);
  addNodeCommand(program);
  addGatewayCommand(program);
  addSendCommand(program);
  addCacheCommand(program);
  addFetchCommand(program);
  addCheckCommand(program);
  addDemoCommand(program);
  program.addHelpText('after', '\nExample:\n  $ hopline get input.txt');
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    command.addHelpText('after', exitHelp()).exitOverride().showHelpAfterError('  hint: see --help');
  }
  try {
    await program.parseAsync(argv);
    return exitCodes.ok.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code;
    return reportFailure(error);
  }
}
