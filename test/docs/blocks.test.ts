/** Every code block of docs/, as its kind is tried: scripts and commands run, route files are read. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readUserSettings } from '../../src/cli/settings/read-settings.ts';
import { parseRoute } from '../../src/index.ts';
import { parseAuthorizedKeys } from '../../src/node/authority/authorized-keys.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { mainFile, startProgram } from '../support/program.ts';
import { findPages, repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';
import { startWebServer } from '../support/web-server.ts';

const run = promisify(execFile);
const skip = process.platform === 'win32' && 'Windows has no such shell';

interface Block {
  readonly document: string;
  /** What stands behind the fence. */
  readonly language: string;
  readonly text: string;
}

/** Other tests read these: the exchanges in bytes, the tutorial, what the commands say of themselves, and what a trace draws. */
const readElsewhere = [
  'protocol/circuits.md',
  'tutorial.md',
  'protocol/exchange.md',
  'protocol/encrypted-ik.md',
  'protocol/encrypted-nk.md',
  'trace.md',
];

const blocks = await findBlocks();
const kinds = blocks.map((block) => ({ block, kind: kindOf(block) }));

test('each code block of a document is of a kind that is tried', () => {
  assert.ok(blocks.length > 15);
  const unknown = kinds.filter(({ kind }) => kind === undefined).map(({ block }) => `${block.document}: ${block.text}`);
  assert.deepEqual(unknown, []);
});

const scripts = kinds.filter(({ kind }) => kind === 'script').map(({ block }) => block);
test('the scripts of the documents run', async (t) => {
  assert.ok(scripts.length > 5);
  const web = await startWebServer(t, (_request, response) => response.end('here'));
  const [first, last] = (await startChain(t, 2, (await makeTempRoot(t)).path)).nodes.map(addressOf);
  const here = { '10.0.0.1:7001': first, '10.0.0.2:7001': last, '10.0.0.5:80': `127.0.0.1:${web.port}` };
  await Promise.all(
    scripts.map(async ({ text }) => {
      const folder = (await makeTempRoot(t)).path;
      await mkdir(path.join(folder, 'node_modules'));
      await symlink(fileURLToPath(repository), path.join(folder, 'node_modules/hopline'), 'junction');
      const script = Object.entries(here).reduce(
        (done, [address, place]) => done.replaceAll(address, `${place}`),
        text,
      );
      await writeFile(path.join(folder, 'script.mjs'), script);
      await run(process.execPath, ['script.mjs'], { cwd: folder });
    }),
  );
  assert.equal(web.requests.length, 1, 'one of them asks a web server through a tunnel');
});

test('the commands of the documents start', async (t) => {
  const commands = kinds.filter(({ kind }) => kind === 'commands').flatMap(({ block }) => block.text.split('\n'));
  assert.ok(commands.length > 3);
  for (const command of commands) await tryCommand(t, command);
});

test('the route files of the documents are read', () => {
  const routes = kinds.filter(({ kind }) => kind === 'route').map(({ block }) => block.text);
  assert.ok(routes.length > 2);
  for (const text of routes) assert.ok(parseRoute(text).routes.length > 0);
});

test('the authorized keys of the documents are read', () => {
  const lists = kinds.filter(({ kind }) => kind === 'keys').map(({ block }) => block.text);
  assert.ok(lists.length > 0);
  for (const text of lists) assert.ok(parseAuthorizedKeys(text, 'authorized_keys').size > 1);
});

test('the settings of the documents are read', async (t) => {
  const settings = kinds.filter(({ kind }) => kind === 'settings').map(({ block }) => block.text);
  assert.ok(settings.length > 0);
  for (const text of settings) {
    const file = path.join((await makeTempRoot(t)).path, 'config.yaml');
    await writeFile(file, text);
    assert.ok((await readUserSettings(file)).routes.size > 0);
  }
});

const shells = kinds.filter(({ kind }) => kind === 'shell').map(({ block }) => block);
test('the lines for a shell run, with the configuration of their document', { skip }, async (t) => {
  assert.ok(shells.length > 0);
  for (const { document, text } of shells) {
    const folder = (await makeTempRoot(t)).path;
    const files = blocks.filter((block) => block.language === 'yaml' && block.document === document);
    assert.ok(files.length > 0, document);
    for (const file of files) {
      const [, name = 'hopline.yaml'] = /^# (\S+\.yaml)\n/.exec(file.text) ?? [];
      await writeFile(path.join(folder, name), file.text);
    }
    const command = `#!/bin/sh\nexec '${process.execPath}' '${mainFile}' "$@"\n`;
    await writeFile(path.join(folder, 'hopline'), command, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    const shell = run('sh', ['-ec', text], { cwd: folder, env });
    shell.child.stdin?.end('a password\n');
    await shell;
  }
});

function kindOf({ document, language, text }: Block): string | undefined {
  if (language === 'js') return 'script';
  if (language === 'ebnf') return 'grammar';
  if (language === 'yaml') return document === 'settings.md' ? 'settings' : 'configuration';
  if (language === 'sh') return 'shell';
  if (/^(hopline|kill) /.test(text)) return 'commands';
  if (/^[\w/.]+\n\S+[ :]\d+/.test(text) && document !== 'resume.md') return 'route';
  if (/^(read|write|all)\b.* hop1/.test(text)) return 'keys';
  if (/^ +firewall/.test(text)) return 'drawing';
  // Texts that the program writes: a mistake, a line of a log, a journal, a listing.
  if (/^(hopline: |\d{4}-\d\d-\d\d |CRC |[-dl][-rwx]{9} )/.test(text)) return 'output';
  return undefined;
}

/** What serves is started at a free port and ended; what only looks must end with 0. */
async function tryCommand(t: TestContext, command: string): Promise<void> {
  // The first two lines of its block have shown what that signal means.
  if (/^kill /.test(command)) return;
  const folder = (await makeTempRoot(t)).path;
  await writeFile(path.join(folder, 'hopline.yaml'), 'listen: 127.0.0.1:0\n');
  const words = command.match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  const args = words
    .slice(1)
    .map((word) => word.replace(/^['"]|['"]$/g, '').replace(/^127\.0\.0\.1:\d+$/, '127.0.0.1:0'));
  const isFixture = args.some((word) => word.startsWith('fixtures/'));
  const cwd = isFixture ? fileURLToPath(repository) : folder;
  // Its ports are written in the file, and another program may have them.
  if (isFixture) args.splice(0, 2, 'check');
  const program = startProgram(t, args, { cwd });
  if (args[0] !== 'check') {
    await program.saw(/listening on /);
    program.child.kill('SIGTERM');
  }
  const { code, stderr } = await program.finished;
  assert.equal(code, 0, `${command}\n${stderr}`);
}

async function findBlocks(): Promise<readonly Block[]> {
  const pages = await findPages();
  const texts = pages.map(async (page) => {
    const document = page.slice('docs/'.length);
    const text =
      readElsewhere.includes(document) || document.startsWith('cli/')
        ? ''
        : await readFile(new URL(page, repository), 'utf8');
    const found = text.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm);
    return [...found].map(([, language = '', inside = '']) => ({ document, language, text: inside }));
  });
  return (await Promise.all(texts)).flat();
}
