/** What is counted of circuits, files and keys: the figures of a node, and of HTTP where they mean the same. */

import { momentBounds, transferBounds } from '../../core/histogram.ts';
import type { Snapshot } from '../snapshot.ts';
import { type Metric, oneValue, type Sample, valuesBy } from './metric.ts';

export const trafficMetrics: readonly Metric[] = [
  {
    name: 'hopline_connections_total',
    type: 'counter',
    help: 'Connections to the node by what their peer spoke first.',
    read: valuesBy('dialect', ({ node }) => node?.stats.dialects),
  },
  {
    name: 'hopline_connections_open',
    type: 'gauge',
    help: 'Connections to the node that are open.',
    read: oneValue(({ node }) => node?.stats.open),
  },
  {
    name: 'hopline_connections_max',
    type: 'gauge',
    help: 'Connections that the node takes at once.',
    read: oneValue(({ node }) => node?.maxConnections),
  },
  {
    name: 'hopline_circuits_total',
    type: 'counter',
    help: 'Circuits that began: through here, or ending here.',
    read: ({ node }) => {
      if (!node) return [];
      const { relayed, served, servedSecurely } = node.stats;
      return [
        { labels: { role: 'relay' }, value: relayed },
        { labels: { role: 'origin', secure: 'yes' }, value: servedSecurely },
        { labels: { role: 'origin', secure: 'no' }, value: served - servedSecurely },
      ];
    },
  },
  {
    name: 'hopline_circuits_open',
    type: 'gauge',
    help: 'Circuits that are open.',
    read: valuesBy('role', ({ node }) => node?.open),
  },
  {
    name: 'hopline_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes that passed (relay, http) or content that was sent and taken (origin); forward is away from the client.',
    read: movedBytes,
  },
  {
    name: 'hopline_refusals_total',
    type: 'counter',
    help: 'Refusals, failed circuits and failed HTTP answers by code.',
    read: valuesBy('code', ({ node, http }) => {
      const sum: Record<string, number> = { ...node?.stats.failures };
      for (const [code, count] of Object.entries(http?.stats.failures ?? {})) sum[code] = (sum[code] ?? 0) + count;
      return sum;
    }),
  },
  {
    name: 'hopline_open_seconds',
    type: 'histogram',
    unit: 'seconds',
    bounds: momentBounds,
    help: 'From OPEN to the connected next leg.',
    read: ({ node }) => (node ? [{ labels: {}, value: node.stats.openSeconds }] : []),
  },
  {
    name: 'hopline_circuit_seconds',
    type: 'histogram',
    unit: 'seconds',
    bounds: transferBounds,
    help: 'How long circuits and HTTP requests lasted.',
    read: ({ node, http }) => [
      ...(node ? [{ labels: { role: 'relay' }, value: node.stats.relaySeconds }] : []),
      ...(node ? [{ labels: { role: 'origin' }, value: node.stats.originSeconds }] : []),
      ...(http ? [{ labels: { role: 'http' }, value: http.stats.totalSeconds }] : []),
    ],
  },
  {
    name: 'hopline_first_byte_seconds',
    type: 'histogram',
    unit: 'seconds',
    bounds: momentBounds,
    help: 'Until an answer began: from a READ to its first byte, or from an HTTP request to the head of its answer.',
    read: ({ node, http }) => [
      ...(node ? [{ labels: { role: 'origin' }, value: node.stats.firstByteSeconds }] : []),
      ...(http ? [{ labels: { role: 'http' }, value: http.stats.firstByteSeconds }] : []),
    ],
  },
  {
    name: 'hopline_files_total',
    type: 'counter',
    help: 'Files that were opened for a client.',
    read: oneValue(({ node }) => node?.stats.files),
  },
  {
    name: 'hopline_uploads_total',
    type: 'counter',
    help: 'Files that were uploaded to the end.',
    read: oneValue(({ node }) => node?.stats.uploaded),
  },
  {
    name: 'hopline_messages_total',
    type: 'counter',
    help: 'Messages that were answered, or passed to a server and back.',
    read: oneValue(({ node }) => node?.stats.messages),
  },
  {
    name: 'hopline_pieces_hashed_total',
    type: 'counter',
    help: 'Pieces that were hashed to be sent.',
    read: oneValue(({ node }) => node?.stats.piecesHashed),
  },
  {
    name: 'hopline_pieces_cached_total',
    type: 'counter',
    help: 'Pieces whose digest was known.',
    read: oneValue(({ node }) => node?.stats.piecesCached),
  },
  {
    name: 'hopline_handshakes_total',
    type: 'counter',
    help: 'Handshakes of encrypted circuits by how they went.',
    read: valuesBy('result', ({ node }) => node?.stats.handshakes),
  },
  {
    name: 'hopline_authorized_keys',
    type: 'gauge',
    help: 'Lines of the authorized keys that are in effect.',
    read: oneValue(({ node }) => node?.authority?.keys),
  },
  {
    name: 'hopline_authorized_keys_in_effect',
    type: 'gauge',
    help: 'Whether the list in effect is what the file says.',
    read: oneValue(({ node }) => node?.authority && (node.authority.trouble === undefined ? 1 : 0)),
  },
  {
    name: 'hopline_authorized_key_expiry_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'When the next of these keys ends, in seconds since 1970.',
    read: oneValue(({ node }) => node?.authority?.nextExpiry && node.authority.nextExpiry / 1000),
  },
];

function movedBytes({ node, http }: Snapshot): readonly Sample<number>[] {
  const moved = Object.entries(node?.stats.moved ?? {}).flatMap(([role, paths]) =>
    Object.entries(paths).flatMap(([path, directions]) =>
      Object.entries(directions).map(([direction, value]) => ({ labels: { role, direction, path }, value })),
    ),
  );
  if (!http) return moved;
  return [...moved, { labels: { role: 'http', direction: 'back' }, value: http.stats.bytes }];
}
