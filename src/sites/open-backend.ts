/**
 * What answers for a site, made of what the gateway, the client and the disk have.
 *
 * The one place where routes and HTTP meet: gateway/ knows neither circuits nor tunnels.
 * Invariant: once `close()` has settled, nothing of the backend is kept; requests that are under way end by themselves.
 */

import { RemoteFiles } from '../client/remote/remote-files.ts';
import { type RoutesOptions, Tunnels } from '../client/remote/tunnels.ts';
import { type OptionNames, refuseUnknown } from '../core/failure/known-names.ts';
import { serveFiles } from '../gateway/answering/files.ts';
import { openRootSource } from '../gateway/answering/root-source.ts';
import type { HttpServers, SiteOptions } from '../gateway/server/start.ts';
import type { BackendText } from './site-text.ts';

export type OpenBackendOptions = Pick<RoutesOptions, 'clock' | 'limits' | 'resolve' | 'pools' | 'identity'>;

const names = {
  clock: true,
  limits: true,
  resolve: true,
  pools: true,
  identity: true,
} as const satisfies OptionNames<OpenBackendOptions>;

export interface OpenBackend {
  readonly backend: SiteOptions['backend'];
  close(): Promise<void>;
}

/** Makes a backend of its text; `servers` is what else a pool of servers is told. Throws `USAGE_INVALID` for a root that is no directory. */
export async function openBackend(
  text: BackendText,
  options: OpenBackendOptions = {},
  servers: Omit<HttpServers, 'members' | 'dial'> = {},
): Promise<OpenBackend> {
  refuseUnknown(options, { by: 'openBackend', names });
  switch (text.kind) {
    case 'root': {
      const source = await openRootSource(text.directory, options.limits?.maxNameBytes);
      return { backend: serveFiles(source), close: async () => {} };
    }
    case 'route': {
      const files = new RemoteFiles({ ...options, routes: text.routes });
      return { backend: serveFiles(files), close: () => files.close() };
    }
    default: {
      const { members, isTls, routes } = text;
      const tunnels = routes && new Tunnels({ ...options, routes });
      const backend = {
        ...servers,
        members,
        ...(isTls && { tls: servers.tls ?? {} }),
        ...(tunnels && { dial: tunnels.open.bind(tunnels) }),
      };
      return { backend, close: async () => {} };
    }
  }
}
