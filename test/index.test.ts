/** The library as a whole: an option that nobody takes is refused by its name, and what is spread into options is not. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as library from '../src/index.ts';
import { startChain } from './support/chain.ts';
import { repository } from './support/repository.ts';
import { makeTempRoot } from './support/temp-root.ts';

/** Called with options that the types would not have let through. */
type Call = (options: object) => unknown;

const { parseRoute, parseVia, preferredRoute, silentLogger } = library;
const routes = parseVia('127.0.0.1:1', 'any').routes;
const calls: Readonly<Record<string, Call>> = {
  download: (options) => library.download(options as never),
  downloadFiles: (options) => library.downloadFiles(options as never),
  downloadTree: (options) => library.downloadTree(options as never),
  compareFile: (options) => library.compareFile(options as never),
  listDirectory: (options) => library.listDirectory(options as never),
  statFile: (options) => library.statFile(options as never),
  openSender: (options) => library.openSender(options as never),
  RemoteFiles: async (options) => new library.RemoteFiles(options as never),
  'RemoteFiles.open': (options) => new library.RemoteFiles({ routes }).open('any', options),
  Tunnels: async (options) => new library.Tunnels(options as never),
  traceRoutes: (options) => library.traceRoutes(options as never),
  upload: (options) => library.upload(options as never),
  uploadFiles: (options) => library.uploadFiles(options as never),
  uploadTree: (options) => library.uploadTree(options as never),
  startNode: (options) => library.startNode(options as never),
  startGateway: (options) => library.startGateway(options as never),
  startHttpService: (options) => library.startHttpService(options as never, { log: silentLogger }),
  startService: (options) => library.startService({} as never, options as never),
  openBackend: (options) => library.openBackend({} as never, options),
  openAccessLog: (options) => library.openAccessLog(options as never),
  createHttpCache: (options) => library.createHttpCache(options as never),
  fetchUrl: (options) => library.fetchUrl('http://127.0.0.1:1/', options as never),
  parseRoute: async (options) => parseRoute('', options),
  parseVia: async (options) => parseVia('', '', options),
};

test('every function refuses an option that there is not, before anything else', async () => {
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(
      async () => call({ xyzzy: 1 }),
      ({ code, message }: library.HoplineError) =>
        code === 'USAGE_INVALID' && message.startsWith(`${name}: there is no option xyzzy; known are `),
      name,
    );
  }
});

test('the option that was meant is named, and so is a limit', async () => {
  const refusals: readonly (readonly [Call | undefined, object, string])[] = [
    [calls.download, { parralel: 2 }, 'download: there is no option parralel; did you mean parallel?'],
    [calls.download, { deadlinems: 2 }, 'download: there is no option deadlinems; did you mean deadlineMs?'],
    [calls.upload, { rout: 2 }, 'upload: there is no option rout; did you mean route?'],
    [calls.startNode, { lissten: 2 }, 'startNode: there is no option lissten; did you mean listen?'],
    [calls.fetchUrl, { folow: true }, 'fetchUrl: there is no option folow; did you mean follow?'],
    [calls.statFile, { limits: { idelMs: 1 } }, 'limits of statFile: there is no option idelMs; did you mean idleMs?'],
    [calls.download, { '\u001b[2J': 1 }, 'download: there is no option \\u001b[2J; known are '],
  ];
  for (const [call, options, message] of refusals) {
    await assert.rejects(
      async () => call?.(options),
      (error: library.HoplineError) => error.message.startsWith(message),
      message,
    );
  }
});

test('a route that is spread into options, and defaults for several functions, are taken', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('tree/file', 10);
  const chain = await startChain(t, 1, root.path);
  const plan = chain.route('tree/file');
  const defaults = {
    retry: 1,
    force: true,
    parallel: 2,
    classic: false,
    limits: {},
    log: silentLogger,
    unset: undefined,
  };
  const named = { name: 'eu', ...preferredRoute(plan), ...plan, ...defaults };
  const output = (await makeTempRoot(t)).path;
  await library.download({ ...named, route: plan, output });
  await library.downloadFiles({ ...named, files: ['tree/file'], output });
  await library.downloadTree({ ...named, directory: 'tree', output });
  assert.equal((await library.statFile(named)).kind, 'file');
});

test('what any transfer takes may stand in defaults for all of them', async () => {
  const report = await readFile(new URL('docs/library/api.txt', repository), 'utf8');
  const membersOf = (name: string) => {
    const [, , body = ''] = new RegExp(`interface ${name}( extends[^{]*)? \\{\\n([^}]*)\\}`).exec(report) ?? [];
    return [...body.matchAll(/^ {4}readonly (\w+)\??:/gm)].map(([, member = '']) => member);
  };
  const kinds = [
    'Transfer',
    'Download',
    'DownloadFiles',
    'DownloadTree',
    'CompareFile',
    'Look',
    'ListDirectory',
    'StatFile',
  ];
  const members = [...kinds, 'SeveralFiles', 'Upload', 'UploadFiles'].flatMap((kind) => membersOf(`${kind}Options`));
  assert.ok(members.length > 30 && members.includes('findsExtra'));
  const all = Object.fromEntries(members.map((member) => [member, member === 'limits' ? {} : 'any']));
  await assert.rejects(async () => calls.openSender?.({ ...all, xyzzy: 1 }), /: there is no option xyzzy/);
});
