/** The scripts for shells, in those shells, at a terminal that tmux makes: what stands on the line after TAB. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { scripts } from '../../../src/cli/completion/shell-scripts.ts';
import { addressOf, startChain } from '../../support/chain.ts';
import { mainFile } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const exists = (program: string, flag = '--version') => spawnSync(program, [flag]).error === undefined;
const hasTmux = process.platform !== 'win32' && exists('tmux', '-V');

/** How each starts without what its user has set, and reads the script. */
const starts = {
  bash: { command: 'bash --norc --noprofile', setUp: "PS1='> '; source ./script" },
  zsh: { command: 'zsh -f', setUp: "PS1='> '; autoload -U compinit; compinit -u -D; source ./script" },
  fish: { command: 'fish --no-config', setUp: "function fish_prompt; echo '> '; end; source ./script" },
} as const;

/** Types a text and TAB, and takes it back once the line is `line`. */
type Completes = (text: string, line: string) => Promise<void>;

/** Has a shell in a terminal, for as long as `use` takes: its directory is still there when the terminal is closed. */
async function inTerminal(
  t: TestContext,
  shell: keyof typeof starts,
  cwd: string,
  use: (completes: Completes) => Promise<void>,
) {
  const socket = path.join(cwd, 'tmux');
  const tmux = (...args: string[]) => {
    const env = { ...process.env, TERM: 'xterm', HOPLINE_CONFIG: path.join(cwd, 'config.yaml'), HOME: cwd };
    const PATH = `${cwd}:${process.env.PATH}`;
    return spawnSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], { cwd, env: { ...env, PATH } });
  };
  /** Whether it is shown within `ms`. */
  const shown = async (what: string, isShown: (lines: readonly string[]) => boolean, ms = Number.POSITIVE_INFINITY) => {
    const until = performance.now() + ms;
    for (let screen = ''; performance.now() < until; ) {
      if (t.signal.aborted) assert.fail(`${shell} does not show ${what}:\n${screen}`);
      screen = tmux('capture-pane', '-p').stdout.toString();
      if (isShown(screen.split('\n').map((line) => line.trimEnd()))) return true;
      await pause(30);
    }
    return false;
  };
  // The line that is typed at is where the cursor is, wherever a shell draws its list.
  const shows = (text: string, ms?: number) =>
    shown(text, (lines) => lines.some((line) => line === text || line.endsWith(`> ${text}`)), ms);
  const type = (...keys: string[]) => tmux('send-keys', ...keys);
  try {
    tmux('new-session', '-d', '-x', '100', '-y', '40', starts[shell].command);
    // What is typed before a shell reads its terminal may be lost.
    await shown('a prompt', (lines) => lines.some((line) => line !== ''));
    type(`${starts[shell].setUp}; clear; echo rea""dy`, 'Enter');
    await shows('ready');
    await use(async (text, line) => {
      // An origin has a second to say what it has, and on a busy machine needs longer: whoever gets nothing asks again.
      for (let isShown = false; !isShown; ) {
        type('C-u');
        type('-l', text);
        type('Tab');
        isShown = await shows(line, 5000);
      }
      // An interrupt would have the terminal forget what is typed behind it.
      type('C-u');
      type('clear; echo a""gain', 'Enter');
      await shows('again');
    });
  } finally {
    tmux('kill-server');
  }
}

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const skip = !hasTmux ? 'there is no tmux' : !exists(shell) && `there is no ${shell}`;
  test(`${shell} completes commands, values, names of routes and remote names`, {
    skip,
    timeout: 100_000,
  }, async (t) => {
    const [served, home] = [(await makeTempRoot(t)).path, (await makeTempRoot(t)).path];
    await mkdir(path.join(served, 'reports'));
    await writeFile(path.join(served, 'reports', "may $(touch ran) 'x'.pdf"), 'content');
    const [origin] = (await startChain(t, 1, served)).nodes.map(addressOf);
    await writeFile(path.join(home, 'config.yaml'), `routes: { eu: [${origin}] }\n`);
    await writeFile(path.join(home, 'script'), scripts[shell]);
    await writeFile(path.join(home, 'local route.txt'), '');
    const program = `#!/bin/sh\nexec '${process.execPath}' '${mainFile}' "$@"\n`;
    await writeFile(path.join(home, 'hopline'), program, { mode: 0o755 });
    await inTerminal(t, shell, home, async (completes) => {
      await completes('hopline gatew', 'hopline gateway');
      await completes('hopline get --no-res', 'hopline get --no-resume');
      await completes('hopline get --progress=pl', 'hopline get --progress=plain');
      await completes('hopline get eu', 'hopline get eu:');
      await completes('hopline get eu:rep', 'hopline get eu:reports/');
      const escaped = "may\\ \\$\\(touch\\ ran\\)\\ \\'x\\'.pdf";
      await completes('hopline get eu:reports/m', `hopline get eu:reports/${escaped}`);
      await completes('hopline get loc', 'hopline get local\\ route.txt');
    });
  });
}

test('bash is offered nothing within quotes that it would expand there', {
  skip: !exists('bash') && 'there is no bash',
}, async (t) => {
  const { path: home } = await makeTempRoot(t);
  const names = ['$(a)', '`a`', 'a!a', 'a"a', "a';a;'", 'a\\a', 'a;a', 'a b', 'a'].map((name) => `eu:${name}`);
  await writeFile(path.join(home, 'offers'), ['none', ...names, ''].join('\n'));
  await writeFile(path.join(home, 'hopline'), `#!/bin/sh\ncat '${home}/offers'\n`, { mode: 0o755 });
  await writeFile(path.join(home, 'script'), scripts.bash);
  /** What bash would put in place of the word that is typed. */
  const offered = (typed: string, broken = [typed]) => {
    const line = `hopline get ${typed}`;
    const run = `source ./script; COMP_LINE=$0 COMP_POINT=\${#0} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _hopline
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${home}:${process.env.PATH}` };
    const { stdout } = spawnSync('bash', ['-c', run, line, 'hopline', 'get', ...broken], { cwd: home, env });
    return stdout.toString().trimEnd().split('\n');
  };
  for (const quote of ['"', "'"]) {
    assert.deepEqual(offered(`${quote}eu:`), ['eu:a;a', 'eu:a b', 'eu:a']);
    // Ended, or begun in the middle.
    assert.deepEqual(offered(`${quote}eu${quote}:`, [`${quote}eu${quote}`, ':']), ['eu:a']);
    assert.deepEqual(offered(`eu:${quote}`, ['eu', ':', quote]), ['a']);
  }
  const escaped = ['\\$\\(a\\)', '\\`a\\`', 'a\\!a', 'a\\"a', "a\\'\\;a\\;\\'", 'a\\\\a', 'a\\;a', 'a\\ b', 'a'];
  assert.deepEqual(offered('eu:', ['eu', ':']), escaped);
});
