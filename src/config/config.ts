/**
 * What a configuration says, as the rest of the program takes it: one value for all that a service runs.
 *
 * Knows nothing about how it was written: a file, flags, or a program.
 */

import type { AdminRules } from '../admin/admin-address.ts';
import type { NodeOptions } from '../node/options.ts';
import type { GatewayRules } from '../sites/http-service.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['text', 'json'] as const;

export interface LogRules {
  /** @default 'info' */
  readonly level: LogLevel;
  /** Lines for people, or JSON. @default 'text' */
  readonly format: (typeof logFormats)[number];
}

/** What is configured of a node. Where nothing is said about listening, whoever starts it knows. */
export type NodeRules = Omit<NodeOptions, 'listen' | 'log' | 'clock' | 'resolve'> &
  Partial<Pick<NodeOptions, 'listen'>>;

export interface Config {
  readonly node: NodeRules;
  /** The HTTP sites, and where they are served beside the node's own port. */
  readonly gateway?: GatewayRules | undefined;
  /** Where it shows what goes on. @default nowhere */
  readonly admin?: AdminRules | undefined;
  readonly log: LogRules;
}
