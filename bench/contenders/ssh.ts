/**
 * scp through jump hosts, each an sshd of its own with its own host key.
 *
 * The last sshd is the origin. Runs as root or as a user, who then may only log in as that user.
 */

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { type Fleet, findProgram, freePort } from '../processes.ts';
import type { Chain, ChainRequest, Contender } from './contender.ts';

const separationDirectory = '/run/sshd';

export const scp = createScp('scp', '');
export const scpGcm = createScp('scp-aes128gcm', 'Ciphers aes128-gcm@openssh.com');
/** One connection to the origin, whatever the scenario asks for. */
export const scpDirect: Contender = {
  ...createScp('scp-direct', ''),
  start: (request) => startChain({ ...request, relays: 0 }, 'Compression no'),
};

function createScp(name: string, cipher: string): Contender {
  return {
    name,
    speaks: 'ssh',
    keeps: false,
    needs: ['sshd', 'ssh', 'scp', 'ssh-keygen'],
    start: (request) => startChain(request, cipher),
  };
}

async function startChain({ fleet, relays, root, leg }: ChainRequest, cipher: string): Promise<Chain> {
  prepareSeparation();
  const directory = path.join(fleet.directory, `ssh-${await freePort()}`);
  mkdirSync(directory, { mode: 0o700 });
  const key = path.join(directory, 'client');
  await makeKey(fleet, key);
  const hosts: string[] = [];
  const pids: number[] = [];
  for (let hop = 0; hop <= relays; hop += 1) {
    const { pid, port } = await startSshd(fleet, directory, hop);
    pids.push(pid);
    hosts.push(`Host hop${hop}\n  Port ${leg ? await leg(port) : port}\n`);
  }
  const config = path.join(directory, 'ssh_config');
  const common = `Host *
  HostName 127.0.0.1
  User ${userInfo().username}
  IdentityFile ${key}
  IdentitiesOnly yes
  UserKnownHostsFile /dev/null
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking no
  BatchMode yes
  LogLevel ERROR
  ${cipher}
`;
  writeFileSync(config, hosts.join('') + common);
  const jumps = Array.from({ length: relays }, (_, hop) => `hop${hop}`).join(',');
  const jump = jumps === '' ? [] : ['-J', jumps];
  return {
    relayPids: pids.slice(0, -1),
    originPids: pids.slice(-1),
    address: `hop${relays}`,
    fetch: (name, output) => ({
      program: 'scp',
      args: ['-F', config, '-q', ...jump, `hop${relays}:${path.join(root, name)}`, output],
    }),
  };
}

async function startSshd(fleet: Fleet, directory: string, hop: number) {
  const hostKey = path.join(directory, `host${hop}`);
  await makeKey(fleet, hostKey);
  const port = await freePort();
  const file = path.join(directory, `sshd_config${hop}`);
  writeFileSync(
    file,
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${hostKey}
PidFile none
AuthorizedKeysFile ${path.join(directory, 'client.pub')}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 1000
UseDNS no
LogLevel ERROR
Subsystem sftp internal-sftp
`,
  );
  // sshd wants its absolute path, since it runs itself again for each connection.
  return fleet.startListening({ program: findProgram('sshd') ?? 'sshd', args: ['-D', '-e', '-f', file] }, port);
}

function makeKey(fleet: Fleet, file: string) {
  return fleet.run({ program: 'ssh-keygen', args: ['-q', '-t', 'ed25519', '-N', '', '-f', file] });
}

/** Run by root, sshd insists on this directory, which a service manager makes elsewhere. */
function prepareSeparation(): void {
  if (process.getuid?.() !== 0 || existsSync(separationDirectory)) return;
  mkdirSync(separationDirectory, { mode: 0o755 });
  process.once('exit', () => rmSync(separationDirectory, { recursive: true, force: true }));
}
