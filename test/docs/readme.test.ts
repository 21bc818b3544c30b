/** The README and the documents, as their readers use them: commands run, flags exist, links lead somewhere. */

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hintFor } from '../../src/core/failure/hints.ts';
import { createKeyFile, errorCodes } from '../../src/index.ts';
import { mainFile, startProgram } from '../support/program.ts';
import { findPages, repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const read = (name: string) => readFile(new URL(name, repository), 'utf8');

/** The lines of the code blocks below a heading. */
async function codeBelow(heading: string): Promise<string[]> {
  const text = await read('README.md');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section !== undefined, heading);
  return [...section.matchAll(/^```\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.trimEnd().split('\n'));
}

async function documents(): Promise<string[]> {
  const above = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'bench/README.md', 'chaos/README.md'];
  return [...above, ...(await findPages())];
}

/** Addresses of the README, and those of this machine that stand for them. */
type Places = Map<string, string>;

function here(text: string, places: Places): string {
  const known = [...places].reduce(
    (done, [address, place]) => done.replaceAll(address, place).replaceAll(address.replace(':', ' '), place),
    text,
  );
  // What is written as an alternate is not there, each at an address of its own.
  return known.replace(/10\.\d+\.(\d+\.\d+)[: ]\d+/g, '127.7.$1:1');
}

/** Starts a node as a line of the README says, but on a port of this machine's own choice. */
async function startNodeOf(t: TestContext, line: string, places: Places, cwd: string, more: readonly string[]) {
  const [, address = '', rest = ''] = /hopline node --listen (\S+) (.*)$/.exec(line) ?? [];
  const args = here(rest, places).split(' ');
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', ...args, ...more], { cwd });
  const [, port] = /listening on .*:(\d+)\n/.exec(await node.saw(/listening on .*\n/)) ?? [];
  places.set(address, `127.0.0.1:${port}`);
}

test('the commands of the README run as they stand there', { skip: process.platform === 'win32' }, async (t) => {
  const [machine, client] = [await makeTempRoot(t), await makeTempRoot(t)];
  const names = ['report.pdf', 'reports/may.pdf', 'reports/june.pdf', 'photos/2026/a.jpg', 'photos/2026/more/b.jpg'];
  for (const name of names) {
    await mkdir(path.dirname(path.join(machine.path, 'files', name)), { recursive: true });
    await writeFile(path.join(machine.path, 'files', name), name.repeat(1000));
  }
  await writeFile(path.join(client.path, 'june.pdf'), 'another june');
  const places: Places = new Map();
  const typed = (await codeBelow('Two machines and a relay')).filter((line) => !/^ +key hop1/.test(line));
  const [origin = '', relay = '', ...gets] = typed;
  const key = await createKeyFile(path.join(machine.path, 'node.key'), new Date());
  await startNodeOf(t, origin, places, machine.path, ['--writable', '--force', '--identity', 'node.key']);
  await startNodeOf(t, relay, places, machine.path, []);
  await writeFile(
    path.join(client.path, 'route.txt'),
    here(`${(await codeBelow('The route file')).join('\n')}\n`, places),
  );
  const asked = gets.map((get) => get.replace(/^client\$ +/, '').replace(/hop1\w{58}/, key.public.text));
  assert.equal(asked.filter((get) => get.includes(key.public.text)).length, asked.length, 'nothing goes in plain');
  const lines = [...asked, ...(await codeBelow('Every day'))];
  const fetched = path.join(client.path, 'report.pdf');
  for (const line of lines) {
    assert.match(line, /^hopline (get|put|ls|trace) /);
    if (line === 'hopline get route.txt') await run('rm', ['-f', fetched]);
    const command = here(line, places).replace(/^hopline /, `"${process.execPath}" "${mainFile}" `);
    const child = spawn('sh', ['-c', command], { cwd: client.path, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    // Only the last of these exists at the origin already.
    assert.equal(code, line.includes('put ') ? 8 : 0, `${line}\n${said}`);
  }
  const content = async (name: string) => (await readFile(path.join(client.path, name))).length;
  assert.equal(await content('report.pdf'), 10_000);
  assert.equal(await content('copy.pdf'), 10_000);
  assert.deepEqual(await readdir(path.join(client.path, 'new')), ['june.pdf', 'may.pdf']);
  assert.equal(await content('copies/2026/more/b.jpg'), 'photos/2026/more/b.jpg'.length * 1000);
});

test('hints that the README shows are those of the program', async () => {
  const shown = (await codeBelow('When it fails')).filter((line) => line.startsWith('  hint: '));
  assert.equal(shown.length, 1);
  const hints = errorCodes.map((code) => `  hint: ${hintFor(code)}`);
  for (const hint of shown) assert.ok(hints.includes(hint), hint);
});

test('the pages of docs/cli/ are what the commands say of themselves', async (t) => {
  const made = (await makeTempRoot(t)).path;
  await run(process.execPath, [fileURLToPath(new URL('tools/cli-reference.mjs', repository)), made]);
  const pages = await commandPages();
  assert.deepEqual((await readdir(made)).map((name) => `docs/cli/${name}`).sort(), pages);
  for (const page of pages) {
    const text = await readFile(path.join(made, path.basename(page)), 'utf8');
    assert.equal(text, await read(page), 'run `npm run reference`');
  }
});

test('the pages of man/ are what the commands say of themselves, and roff that nobody complains of', async (t) => {
  const made = (await makeTempRoot(t)).path;
  await run(process.execPath, [fileURLToPath(new URL('tools/man-pages.mjs', repository)), made]);
  const pages = await readdir(made);
  assert.deepEqual(pages, await readdir(new URL('man/', repository)));
  const { man } = JSON.parse(await read('package.json')) as { man: string[] };
  assert.deepEqual(
    man.map((page) => path.basename(page)),
    pages,
    'package.json names other pages',
  );
  for (const page of pages)
    assert.equal(await readFile(path.join(made, page), 'utf8'), await read(`man/${page}`), 'run `npm run reference`');
  const linted = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', ...pages], { cwd: made, encoding: 'utf8' });
  if (linted.error) return t.diagnostic('there is no mandoc to look at the pages');
  // A date would change without them.
  const complaints = linted.stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'));
  assert.deepEqual(complaints, []);
});

async function commandPages(): Promise<string[]> {
  return (await findPages()).filter((page) => page.startsWith('docs/cli/'));
}

test('every flag that a document types exists', async () => {
  const reference = (await Promise.all((await commandPages()).map(read))).join('');
  const flags = new Map(
    reference
      .split(/^##? /m)
      .slice(1)
      .map((section) => [section.split('\n', 1)[0] ?? '', new Set(section.match(/--[a-z][a-z-]*/g))]),
  );
  for (const name of await documents()) {
    const blocks = (await read(name)).match(/^```\w*\n[\s\S]*?^```$|^ {4}.*$/gm) ?? [];
    for (const line of blocks.join('\n').match(/^ *(?:\S+\$ +)?hopline [a-z]+ .*$/gm) ?? []) {
      const [, command = '', below = ''] = /hopline ([a-z]+)(?: ([a-z]+))?/.exec(line) ?? [];
      const known = flags.get(`hopline ${command} ${below}`) ?? flags.get(`hopline ${command}`);
      assert.ok(known, `${name}: ${line}`);
      for (const flag of line.match(/(?<=\s)--[a-z][a-z-]*/g) ?? [])
        assert.ok(known.has(flag), `${name}: ${line}: ${flag}`);
    }
  }
});

test('every link of a document that is packed leads to a file that is packed', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: repository,
    shell: process.platform === 'win32',
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const packed = new Set(files.map((file) => file.path));
  for (const name of packed) {
    if (!name.endsWith('.md')) continue;
    for (const [, target = ''] of (await read(name)).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      const file = path.posix.join(path.posix.dirname(name), target);
      assert.ok(packed.has(file), `${name} links to ${target}, which is not packed`);
    }
  }
});
