/**
 * The files for containers, which no test can run: that what they name is there, that hopline takes what it is told, and that nothing in them
 * is root.
 */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments, parseDocument } from 'yaml';
import { createProgram } from '../../src/cli/program.ts';
import { readConfig } from '../../src/config/config-files.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const read = (name: string) => readFile(new URL(`packaging/container/${name}`, repository), 'utf8');

/** Throws for flags and values that the command does not take. */
async function checkCommand([name = '', ...words]: readonly string[]): Promise<void> {
  const program = await createProgram(name);
  const command = program.commands.find((one) => one.name() === name) ?? assert.fail(`no command ${name}`);
  const { unknown } = command.parseOptions([...words]);
  assert.deepEqual(unknown, [], words.join(' '));
}

test('the image copies what is there, is not root, and starts a command that hopline takes', async () => {
  const lines = (await read('Containerfile')).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines) assert.match(line, /^(FROM|WORKDIR|COPY|RUN|ENV|USER|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) /);
  for (const line of lines.filter((one) => /^COPY (?!--from)/.test(one)))
    for (const source of line.split(' ').slice(1, -1)) assert.ok(existsSync(new URL(source, repository)), line);
  const [, user] = /\nUSER (\d+):\d+\n/.exec(await read('Containerfile')) ?? [];
  assert.ok(Number(user) > 0);
  const wordsOf = (line = '') => JSON.parse(line.slice(line.indexOf('['))) as string[];
  await checkCommand(wordsOf(lines.find((line) => line.startsWith('CMD'))));
  await checkCommand(wordsOf(lines.find((line) => line.startsWith('HEALTHCHECK'))).slice(1));
});

interface Compose {
  readonly services: Record<
    string,
    {
      readonly command: string[];
      readonly read_only: boolean;
      readonly networks?: string[];
      readonly depends_on?: string[];
      readonly ports?: string[];
    }
  >;
  readonly networks: object;
}

test('in the class of compose.yaml each hop reaches its neighbours alone, by commands that hopline takes', async () => {
  const document = parseDocument(await read('compose.yaml'), { merge: true });
  assert.deepEqual(document.errors, []);
  const { services, networks } = document.toJS() as Compose;
  for (const [name, service] of Object.entries(services)) {
    await checkCommand(service.command);
    assert.equal(service.read_only, true, name);
    for (const other of service.depends_on ?? []) assert.ok(other in services, other);
    for (const network of service.networks ?? []) assert.ok(network in networks, network);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/);
  }
  const reaches = (one: string, other: string) =>
    services[one]?.networks?.some((network) => services[other]?.networks?.includes(network));
  assert.ok(reaches('first', 'second') && reaches('second', 'origin') && !reaches('first', 'origin'));
});

interface Pod {
  readonly securityContext: { readonly runAsNonRoot: boolean };
  readonly containers: readonly {
    readonly args: string[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
    readonly readinessProbe: { readonly exec: { readonly command: string[] } };
    readonly volumeMounts: readonly { readonly name: string }[];
  }[];
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
}

interface Kubernetes {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Record<string, string>;
  readonly spec?: {
    readonly clusterIP?: string;
    readonly selector: { readonly app?: string; readonly matchLabels?: { readonly app: string } };
    readonly ports: readonly { readonly name: string; readonly targetPort: string }[];
    readonly template: { readonly metadata: { readonly labels: { readonly app: string } }; readonly spec: Pod };
  };
}

test('in kubernetes.yaml the pool is the headless service of the origins, and readiness is what /readyz says', async (t) => {
  const documents = parseAllDocuments(await read('kubernetes.yaml'));
  for (const document of documents) assert.deepEqual('errors' in document && document.errors, []);
  const all = documents.map((document) => document.toJS() as Kubernetes);
  const of = (kind: string) => all.filter((one) => one.kind === kind);
  const folder = (await makeTempRoot(t)).path;
  for (const { metadata, data } of of('ConfigMap')) {
    const file = path.join(folder, `${metadata.name}.yaml`);
    // Where the volume of files is mounted there may be nothing here.
    await writeFile(file, (data?.['hopline.yaml'] ?? '').replace('/srv', JSON.stringify(folder)));
    const { node, admin } = await readConfig(file);
    assert.deepEqual([node.listen?.port, admin?.listen.kind], [7001, 'tcp']);
    const [pool] = node.pools ?? [];
    const headless = of('Service').find(({ spec }) => spec?.clusterIP === 'None');
    const service = `_${headless?.spec?.ports[0]?.name}._tcp.${headless?.metadata.name}.default.svc.cluster.local`;
    if (metadata.name === 'hopline-relay') assert.deepEqual(JSON.stringify(pool).includes(`"${service}"`), true);
  }
  const pods = of('Deployment').map(({ spec }) => spec ?? assert.fail());
  assert.equal(pods.length, 2);
  for (const { selector, template } of pods) {
    const { securityContext, containers, volumes } = template.spec;
    const [container = assert.fail()] = containers;
    assert.equal(selector.matchLabels?.app, template.metadata.labels.app);
    assert.equal(securityContext.runAsNonRoot, true);
    await checkCommand(container.args);
    await checkCommand(container.readinessProbe.exec.command.slice(1));
    assert.match(container.readinessProbe.exec.command.join(' '), /127\.0\.0\.1:7900\/readyz$/);
    assert.deepEqual(container.volumeMounts.map(({ name }) => name).sort(), volumes.map(({ name }) => name).sort());
    for (const { configMap } of volumes)
      if (configMap) assert.ok(of('ConfigMap').some(({ metadata }) => metadata.name === configMap.name));
    const services = of('Service').filter(({ spec }) => spec?.selector.app === template.metadata.labels.app);
    assert.deepEqual(
      services.map(({ spec }) => spec?.ports[0]?.targetPort),
      container.ports.map(({ name }) => name),
    );
  }
});
