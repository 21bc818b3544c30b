/**
 * The keys of the configuration file that are about HTTP: what each takes and what it is for.
 *
 * A part of the schema: knows nothing about files on disk, or about the rules of a gateway that the keys become.
 * Documentation: docs/configuration.md#keys
 */

import * as v from 'valibot';
import { isSiteHost } from '../../gateway/server/sites.ts';
import { hasVariable, isChangeable } from '../../http/fields.ts';
import { algorithms } from '../../pool/balance.ts';
import { parseHttpServer } from '../../sites/site-text.ts';
import { parseListen } from '../../wire/address.ts';
import { parseVia } from '../../wire/route.ts';
import { health, hostAndPort, network, query } from '../members.ts';
import {
  about,
  accepted,
  choice,
  duration,
  list,
  longDuration,
  mapping,
  named,
  pathOf,
  required,
  size,
  text,
  whole,
  yesOrNo,
} from './values.ts';

const file = pathOf('a file', './site.pem');
const secretFile = pathOf('a file', './users');
const directory = pathOf('a directory', './public');
const fieldName = text((name) => (/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name) && isChangeable(name) ? name : undefined), {
  expected: 'the name of a field that is not the gateway’s own, as Content-Length and Connection are',
  example: 'X-Served-By',
  pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
});
const fieldText = text((value) => (/[\r\n\0]/.test(value) || hasVariable(value) ? undefined : value), {
  expected: 'text in one line without a variable such as $remote_addr, as nothing is expanded',
  example: 'hopline',
  pattern: /^(?!.*(\$[A-Za-z_{]|%[{[]))[^\r\n\0]*$/,
});
/** Ports are told apart from hosts alone later, when it is known whether the site speaks TLS with its servers. */
const server = text((name) => (parseHttpServer(name, 80) ? name : undefined), {
  expected: 'a server, HOST or HOST:PORT',
  example: '10.0.0.5:80',
  pattern: /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/]+)(:\d{1,5})?$/,
});
const place = accepted((hops) => !hops.includes(',') && parseVia(hops, 'any'), {
  expected: 'a hop, HOST:PORT or @POOL, maybe #hop1... behind it, with "|" between alternates',
  example: '10.0.0.2:7001',
  pattern:
    /^\s*(@[\w.-]+|[^\s|,#]+[:\s]+\d{1,5})(#hop1\w{58})*(\s*\|\s*(@[\w.-]+|[^\s|,#]+[:\s]+\d{1,5})(#hop1\w{58})*)*\s*$/,
});
const host = text((name) => (isSiteHost(name) ? name : undefined), {
  expected: 'a host name, "*." and one, or "*" for all others',
  example: 'www.example.org',
  pattern: /^(\*|(\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])$/,
});

const servers = v.union(
  [
    server,
    mapping(
      {
        address: required('where the server listens; port 80, or 443 with https, if none is given', server),
        weight: about('its share of the requests against the others’', whole(1, 1000, 2)),
        priority: about('lower ones go first; higher ones are a reserve', whole(0, 65_535, 1)),
      },
      '{address: 10.0.0.5:80, weight: 2}',
    ),
  ],
  'a server, HOST or HOST:PORT, or a mapping with an address, such as 10.0.0.5:80 or {address: 10.0.0.5:80, weight: 2}',
);

function fieldRules(example: string) {
  const pairs = { expected: 'names with texts', example: '{X-Served-By: hopline}' };
  return mapping(
    {
      remove: about('fields to leave out', list(fieldName, '[X-Powered-By]')),
      set: about('fields in place of all of that name', named(fieldName, fieldText, pairs)),
      add: about('fields beside others of that name', named(fieldName, fieldText, pairs)),
    },
    example,
  );
}

const siteKeys = mapping(
  {
    servers: about('HTTP servers that stand in for one another', list(servers, '[10.0.0.5:80, 10.0.0.6:80]')),
    dns: about('names and services whose addresses are servers', list(query, '[www.example.org:80]')),
    route: about('the hops to an origin whose files are served', list(place, '[10.0.0.2:7001, "@eu-files"]')),
    root: about('a directory whose files are served', directory),
    via: about('hops that the servers are reached through', list(place, '[10.0.0.2:7001]')),
    algorithm: about('which server gets the next request', choice(algorithms)),
    check: about(
      'what a server is asked for to see that it is well; without it, a connection is enough',
      mapping(
        {
          path: required(
            'the path of a GET',
            text((target) => (/^\/\S*$/.test(target) ? target : undefined), {
              expected: 'a path',
              example: '/health',
              pattern: /^\/\S*$/,
            }),
          ),
          status: about('the status of a server that is well; without it, any from 200 to 399', whole(100, 599, 200)),
        },
        '{path: /health}',
      ),
    ),
    health: about('when a server is checked, and when it is left out', health),
    sticky: about('keeps a client at its server, by a cookie', yesOrNo()),
    https: about(
      'speaks TLS with the servers',
      v.union(
        [
          yesOrNo(),
          mapping(
            {
              ca: about('authorities to believe instead of the system’s, in PEM', file),
              'server-name': about('the name in the certificate', host),
              insecure: about('takes any certificate', yesOrNo()),
            },
            '{ca: ./ca.pem}',
          ),
        ],
        'true, false or a mapping, such as {ca: ./ca.pem}',
      ),
    ),
    host: about('what servers get as Host; without it, what the client sent', host),
    connect: about('lets CONNECT lead to one of the servers', yesOrNo()),
    auth: about(
      'who may ask; of basic and bearer one must hold, and addresses besides',
      mapping(
        {
          basic: about('a file of users and what is kept of their passwords', secretFile),
          bearer: about('a file of tokens, one a line', secretFile),
          addresses: about('networks that requests may come from', list(network, '[10.0.0.0/8]')),
        },
        '{basic: ./users}',
      ),
    ),
    'max-body': about('bytes of the content of a request; more is 413. Without it, the limit', size),
    'pass-overrides': about(
      'lets X-Original-URL, X-Rewrite-URL, X-HTTP-Method-Override and their like of clients through',
      yesOrNo(),
    ),
    'request-fields': about('changes to what servers get', fieldRules('{remove: [X-Debug]}')),
    'answer-fields': about('changes to what clients get', fieldRules('{set: {X-Served-By: hopline}}')),
    cache: about(
      'how answers are cached, where the gateway has a cache',
      v.union(
        [
          yesOrNo(),
          mapping(
            {
              ttl: about('how long an answer is fresh that does not say', duration),
              override: about('how long every answer is fresh that may be stored', longDuration),
            },
            '{ttl: 1m}',
          ),
        ],
        'true, false or a mapping, such as {ttl: 1m}',
      ),
    ),
  },
  '{servers: [10.0.0.5:80]}',
);

const has = (...keys: readonly string[]) => ({ anyOf: keys.map((key) => ({ required: [key] })) });
const only = (own: readonly string[], others: readonly string[]) => ({ allOf: [has(...own), { not: has(...others) }] });
/** Which of the keys that say where answers come from go together: what the checks say, for editors. */
const site = v.pipe(
  siteKeys,
  v.metadata({
    oneOf: [
      only(['servers', 'dns'], ['route', 'root']),
      only(['route'], ['servers', 'dns', 'root']),
      only(['root'], ['servers', 'dns', 'route']),
    ],
  }),
);

export const sites = named(host, site, {
  expected: 'sites by their hosts',
  example: '{www.example.org: {servers: [10.0.0.5:80]}}',
});

export const gateway = mapping(
  {
    listen: about(
      'where the sites are served; without it, on the port of the node. Needs a restart',
      text(parseListen, { expected: 'HOST:PORT to listen on', example: '127.0.0.1:8080', pattern: hostAndPort }),
    ),
    trusted: about('proxies whose word on their clients counts. Needs a restart', list(network, '[10.0.0.0/8]')),
    tls: about(
      'speaks TLS with clients',
      mapping(
        {
          cert: required('the certificate and those that it needs, in PEM', file),
          key: required('its key, in PEM', file),
        },
        '{cert: ./site.pem, key: ./site.key}',
      ),
    ),
    cache: about(
      'a cache on disk. Needs a restart',
      mapping(
        {
          directory: required('a directory for nothing else', directory),
          size: about('bytes on disk', size),
          ttl: about('how long an answer is fresh that does not say', duration),
        },
        '{directory: ./cache}',
      ),
    ),
    'access-log': about(
      'a line for each request. Needs a restart',
      mapping(
        {
          file: required('the file that lines are appended to; "-" for stdout', file),
          format: about('how a line is written', choice(['combined', 'json'])),
          'mask-query': about(
            'query parameters whose values are not logged; "*" for all',
            list(
              text((name) => name || undefined, { expected: 'a name', example: 'token', pattern: /./ }),
              '[token]',
            ),
          ),
        },
        '{file: ./access.log}',
      ),
    ),
  },
  '{listen: 127.0.0.1:8080}',
);

export type SiteKeys = v.InferOutput<typeof site>;
export type GatewayKeys = v.InferOutput<typeof gateway>;
