/**
 * The configuration file: its keys, what each takes, and what it is for, in one definition.
 *
 * Checks, the JSON Schema for editors (docs/hopline.schema.json) and the table of keys all come from here.
 * Knows nothing about files on disk, or about places in the text.
 * Documentation: docs/configuration.md#keys
 */

import * as v from 'valibot';
import { parseAdminAddress } from '../../admin/admin-address.ts';
import { parseNextRules } from '../../node/access/access-rules.ts';
import { poolChecks } from '../../node/pools/pool-options.ts';
import { algorithms } from '../../pool/balance.ts';
import { nameStore } from '../../pool/registry/redis-store.ts';
import { isPoolName, parseListen } from '../../wire/address.ts';
import { parseKeyedAddress } from '../../wire/keyed-hop.ts';
import { parseRate } from '../../wire/quantity.ts';
import { logFormats, logLevels } from '../config.ts';
import { health, hostAndPort, memberOf, network, parseHopText, query } from '../members.ts';
import { limitsMapping } from './limit-settings.ts';
import { gateway, sites } from './sites-schema.ts';
import {
  about,
  accepted,
  amount,
  choice,
  list,
  mapping,
  named,
  pathOf,
  required,
  size,
  text,
  yesOrNo,
} from './values.ts';

const listen = text(parseListen, {
  expected: 'HOST:PORT to listen on',
  example: '127.0.0.1:7001',
  pattern: hostAndPort,
});
const hop = text(parseHopText, { expected: 'a hop, HOST:PORT', example: '127.0.0.1:7001', pattern: hostAndPort });
const front = text(parseKeyedAddress, {
  expected: 'a front, HOST:PORT, or HOST:PORT#hop1... where its key is known',
  example: '10.0.0.1:10000',
  pattern: /^\s*[^\s|,#=]+[:\s]+\d{1,5}(#hop1\w{58})?\s*$/,
});
const directory = pathOf('a directory', './files');
const file = pathOf('a file', './authorized_keys');
const rule = accepted((rule) => parseNextRules([rule]), {
  expected: 'any, a CIDR, an address or a host name, then maybe :PORT or :LOW-HIGH',
  example: '10.0.0.0/8:7001-7010',
  pattern: /^(any|\[[0-9A-Fa-f:.]+(\/\d{1,3})?\]|[\w.:-]+(\/\d{1,3})?)(:\d{1,5}(-\d{1,5})?)?$/,
});
const rate = amount(parseRate, {
  expected: 'bytes a second, at least 1K',
  example: '10M',
  pattern: /^\d{1,15}(\.\d+)?[KMGTkmgt]?$/,
});
const registry = accepted((url) => nameStore(url) === url, {
  expected:
    'redis://HOST:PORT, maybe with /DATABASE, or rediss:, without a user and a password, which go into HOPLINE_REGISTRY',
  example: 'redis://10.0.0.1:6379',
  pattern: /^rediss?:\/\/[^@\s]+$/,
});
const label = amount((label) => (label === '' || label.length > 200 ? undefined : label), {
  expected: '1 to 200 characters',
  example: 'PP_1',
  pattern: /^[\s\S]{1,200}$/,
});
const poolName = text((name) => (isPoolName(name) ? name : undefined), {
  expected: 'a name of 1 to 64 letters, digits, "_", "." and "-"',
  example: 'eu-files',
  pattern: /^[A-Za-z0-9_.-]{1,64}$/,
});

const uploadRules = mapping(
  {
    force: about('lets an upload replace a file, if its client asks for that too', yesOrNo()),
    'max-size': about('bytes of one file at most', size),
  },
  '{max-size: 10G}',
);

const member = memberOf(hop, 'where the member listens', 'a hop, HOST:PORT', '10.0.1.5:7001');

const pool = mapping(
  {
    algorithm: about('which member gets the next request', choice(algorithms)),
    'hash-by': about('what consistent hashing goes by in routes', choice(['file', 'client'])),
    check: about('what members must pass', choice(poolChecks)),
    members: about('who stands in for whom, in their order', list(member, '[10.0.1.5:7001]')),
    dns: about('names and services whose addresses are members', list(query, '[files.example.org:7001]')),
    health: about('when a member is checked, and when it is left out', health),
  },
  '{members: [10.0.1.5:7001]}',
);

const policy = mapping(
  {
    id: required('the policy whose messages this node answers', label),
    name: about('what this server is called in its answers', label),
    register: about(
      'the fronts to register with, by the key of the node where theirs is known',
      list(front, '[10.0.0.1:10000]'),
    ),
    advertise: about('where others reach this server, as the registry tells them', hop),
  },
  '{id: PP_1, register: [10.0.0.1:10000]}',
);

const security = mapping(
  {
    identity: about(
      'the key file of the node, for it alone; sites show it to last hops of known keys. Needs a restart',
      file,
    ),
    'authorized-keys': about('a file that says whose keys may come, and what each may do. Needs a restart', file),
    'require-key': about('refuses requests that are not encrypted. Needs a restart', yesOrNo()),
  },
  '{authorized-keys: ./authorized_keys}',
);

const adminAddress = text(parseAdminAddress, {
  expected: 'HOST:PORT, or unix: and the path of a socket',
  example: '127.0.0.1:7900',
  pattern: /^(unix:.+|.*:\d{1,5})$/,
});

const admin = mapping(
  {
    listen: required('where it listens; elsewhere than on loopback or a socket only with a token', adminAddress),
    'token-file': about('holds what whoever looks must show, at least 32 characters', file),
  },
  '{listen: 127.0.0.1:7900}',
);

const log = mapping(
  {
    level: about('how much to log', choice(logLevels)),
    format: about('lines for people, or JSON', choice(logFormats)),
  },
  '{level: info}',
);

export const configSchema = mapping(
  {
    listen: about('where to listen; port 0 picks a free one. Needs a restart', listen),
    root: about('the directory whose files are served', directory),
    next: about('where legs may be opened to', list(rule, '[10.0.0.0/8:7001-7010]')),
    uploads: about(
      'takes uploads below the root',
      v.union([yesOrNo(), uploadRules], 'true, false or a mapping, such as {max-size: 10G}'),
    ),
    'digest-cache': about('where digests outlive the node; outside the root. Needs a restart', directory),
    'limit-rate': about('bytes a second of each circuit, each way', rate),
    'limit-rate-total': about('bytes a second of all circuits together, each way', rate),
    kernel: about(
      'lets circuits and files, those of sites too, pass inside the kernel where that is possible. Needs a restart',
      yesOrNo(),
    ),
    policy: about('makes the node a server of a policy', policy),
    balance: about('who is next in pools that name no algorithm', choice(algorithms)),
    registry: about(
      'a Redis through which nodes share servers; with a password, HOPLINE_REGISTRY. Needs a restart',
      registry,
    ),
    'register-from': about('networks that servers may register from', list(network, '[10.0.0.0/8]')),
    pools: about(
      'pools and policies by their names',
      named(poolName, pool, { expected: 'pools by their names', example: '{eu-files: {members: [10.0.1.5:7001]}}' }),
    ),
    sites: about('HTTP sites by their hosts', sites),
    gateway: about('how the sites are served', gateway),
    security: about('keys, and who may come to the node as an origin', security),
    admin: about('metrics, health and a page of what goes on. Needs a restart', admin),
    limits: about('caps and deadlines', limitsMapping()),
    log: about('the log, on stderr', log),
  },
  'listen: 127.0.0.1:7001',
);

export type ConfigFile = v.InferOutput<typeof configSchema>;
