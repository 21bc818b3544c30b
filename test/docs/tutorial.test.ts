/** The tutorial, walked through from its first line to its last: one shell for each terminal, and what they print. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { isRefused } from '../support/chain.ts';
import { eventually } from '../support/processes.ts';
import { mainFile, type Started, startProgram } from '../support/program.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const skip = process.platform === 'win32' && 'Windows has no such shell';

/** The key that the tutorial shows where its reader has another one. */
const shownKey = 'hop1s58kzzclglqz8jz9gtyf8uegt9hu554tnsnel8ds5afvw9rftquqwt6u2x';

interface Line {
  readonly terminal: string;
  readonly command: string;
}

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

test('the tutorial goes as it is written', { skip }, async (t) => {
  const lab = new Lab(t, (await makeTempRoot(t)).path);
  await lab.prepare();
  const text = await readFile(new URL('docs/tutorial.md', repository), 'utf8');
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)];
  for (const [at, [, language = '', inside = '']] of blocks.entries()) {
    if (language === 'text') continue;
    if (language === 'js') lab.write('original.mjs', inside.replace('listen(7002', 'listen(0'));
    else if (!/^\w+\$ /.test(inside)) lab.write('route.txt', `${inside}\n`);
    else {
      const [, kind, output] = blocks[at + 1] ?? [];
      await lab.type(inside, kind === 'text' ? (output ?? '') : '');
    }
  }
  assert.ok(lab.typed > 20, 'most of the tutorial are lines to type');
});

class Lab {
  readonly #t: TestContext;
  readonly #folder: string;
  /** What runs in each terminal, and where it listens. */
  readonly #running = new Map<string, { readonly program: Started; readonly port: number }>();
  /** Addresses of the tutorial, and those of this machine that stand for them. */
  readonly #places = new Map<string, string>();
  readonly #files = new Map<string, string>();
  typed = 0;

  constructor(t: TestContext, folder: string) {
    this.#t = t;
    this.#folder = folder;
  }

  async prepare(): Promise<void> {
    const command = `#!/bin/sh\nexec '${process.execPath}' '${mainFile}' "$@"\n`;
    await writeFile(path.join(this.#folder, 'hopline'), command, { mode: 0o755 });
  }

  write(name: string, text: string): void {
    this.#files.set(name, text);
  }

  /** Types the lines of a block; the last command that ends by itself must have printed what stands behind the block. */
  async type(block: string, output: string): Promise<void> {
    const lines = block.split('\n').map((line): Line => {
      const [, terminal = '', command = ''] = /^(\w+)\$ +(.*)$/.exec(line) ?? assert.fail(line);
      return { terminal, command };
    });
    let last: Ended | undefined;
    for (let line = lines.shift(); line; line = lines.shift()) {
      const { terminal, command } = line;
      this.typed += 1;
      if (command.startsWith('^C')) await this.#interrupt(terminal, command);
      else if (/^(hopline node|node) /.test(command)) await this.#start(terminal, command);
      else {
        const ended = this.#run(command);
        const next = lines[0]?.command.startsWith('^C') ? lines.shift() : undefined;
        if (next) {
          // The line behind it is typed while the file is on its way.
          await eventually(async () => (await this.#journal()).includes(' piece '));
          await this.#interrupt(next.terminal, next.command);
        }
        last = await ended;
        // Only the last one of a block is shown to fail.
        const isLast = lines.length === 0;
        assert.equal(last.code !== 0, isLast && output.includes('hopline: '), `${command}\n${last.said}`);
      }
    }
    for (const line of output.split('\n')) {
      const wanted = line.split('...').map((part) => this.#here(part).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      assert.match(last?.said ?? '', new RegExp(`^${wanted.join('.*')}$`, 'm'), block);
    }
  }

  /** A command that goes on until somebody ends it, on a port of this machine's own choice. */
  async #start(terminal: string, command: string): Promise<void> {
    const program = await this.#shell(`exec ${command.replace(/(--\w+) 127\.0\.0\.1:\d+/g, '$1 127.0.0.1:0')}`);
    const [, address = '127.0.0.1:7002'] = /--listen (\S+)/.exec(command) ?? [];
    const here = await this.#learn(program, address, /listening on (\S+)\n/);
    this.#running.set(terminal, { program, port: Number(here.split(':')[1]) });
    const [, admin] = /--admin (\S+)/.exec(command) ?? [];
    if (admin) await this.#learn(program, admin, /admin on (\S+)\n/);
    if (command.includes('--identity')) await this.#learn(program, shownKey, /key (hop1\w{58})\n/);
  }

  /** Reads what a program has in place of what the tutorial says. */
  async #learn(program: Started, written: string, pattern: RegExp): Promise<string> {
    const here = pattern.exec(await program.saw(pattern))?.[1] ?? assert.fail(written);
    this.#places.set(written, here);
    return here;
  }

  async #interrupt(terminal: string, keys: string): Promise<void> {
    const { program, port } = this.#running.get(terminal) ?? assert.fail(`nothing runs in ${terminal}`);
    program.child.kill('SIGINT');
    if (keys === '^C^C') {
      // Two signals at once may count as one: the second waits until the first was heard.
      await eventually(() => isRefused(port));
      program.child.kill('SIGINT');
    }
    await program.finished;
    this.#running.delete(terminal);
  }

  async #run(command: string): Promise<Ended> {
    const { code, stdout, stderr } = await (await this.#shell(this.#here(command))).finished;
    return { code, said: stderr + stdout };
  }

  async #shell(command: string): Promise<Started> {
    // Whatever was started anew has another port since.
    for (const [name, text] of this.#files) await writeFile(path.join(this.#folder, name), this.#here(text));
    const env = { PATH: `${this.#folder}:${process.env.PATH}`, HOME: this.#folder };
    return startProgram(this.#t, [command], { cwd: this.#folder, env, program: ['sh', '-c'] });
  }

  #journal(): Promise<string> {
    return readFile(path.join(this.#folder, '.big.bin.part.journal'), 'utf8').catch(() => '');
  }

  #here(text: string): string {
    return [...this.#places].reduce(
      (done, [written, here]) =>
        done.replaceAll(written, here).replaceAll(written.replace(':', ' '), here.replace(':', ' ')),
      text,
    );
  }
}
