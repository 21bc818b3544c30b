/**
 * `hopline completion` prints what a shell needs to complete command lines, and `hopline complete`, which no help lists, is what that
 * script asks at each press of TAB.
 *
 * Invariant: whatever fails while a line is completed, nothing is offered, and nothing is said in the middle of what somebody types.
 * Documentation: docs/install.md#completion
 */

import { Argument, type Command } from 'commander';
import { safeText } from '../../core/text.ts';
import { completeLine, type Offer } from './complete-line.ts';
import { scripts } from './shell-scripts.ts';

/** Characters of what is said beside a word. */
const maxAbout = 70;

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .summary('print what bash, zsh or fish needs to complete command lines')
    .description(
      'Prints a script that lets a shell complete commands, flags, their values, names of routes, and files at their origins.',
    )
    .addArgument(new Argument('<SHELL>', 'the shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      '\nExamples:\n  $ source <(hopline completion bash)     # in ~/.bashrc\n' +
        '  $ source <(hopline completion zsh)      # in ~/.zshrc, behind compinit\n' +
        '  $ hopline completion fish > ~/.config/fish/completions/hopline.fish',
    )
    .action((shell: keyof typeof scripts) => {
      process.stdout.write(scripts[shell]);
    });
}

/** The commands that the words name must be in `program`, or all of them where the words name none. */
export function addCompleteCommand(program: Command): void {
  program
    .command('complete', { hidden: true })
    .argument('[WORDS...]', 'the words behind hopline, up to the cursor')
    .action(async (words: readonly string[]) => {
      const { files, candidates } = await completeLine(program, words);
      process.stdout.write([files, ...candidates.map(formatOffer), ''].join('\n'));
    });
}

function formatOffer({ word, about }: Offer): string {
  return about === undefined ? word : `${word}\t${safeText(about, maxAbout)}`;
}
