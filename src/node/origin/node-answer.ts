/**
 * What a node says of itself when it is asked whether it is there.
 *
 * Invariant: how busy it is, and since when it runs, is told to nobody who may ask for nothing else.
 * Specification: docs/protocol/requests.md#requests
 */

import { software } from '../../core/software.ts';
import type { Message } from '../../wire/native/messages.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';

export function describeNode(node: NodeContext, { isRefused }: Grant): Message {
  const { root, server, join, security, wallClock } = node;
  const roles = ['relay', ...(root === undefined ? [] : ['origin']), ...(server ? ['server'] : [])];
  const key = security ? { key: security.own.public.text } : {};
  const kernel = join.kernel !== undefined;
  const about = { software, roles, features: ['probe'], kernel, time: wallClock(), ...key };
  return { type: 'pong', ...about, ...(isRefused ? {} : busyness(node)) };
}

function busyness({ connections, limits, clock, startedMs }: NodeContext) {
  const load = { open: connections.held, max: limits.maxConnections };
  return { load, uptimeS: Math.floor((clock.now() - startedMs) / 1000) };
}
