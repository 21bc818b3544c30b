/** How each fault is done to a running scene, and undone once its time is over. */

import type { Connection } from './connection.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { PlannedStrike } from './plan.ts';
import type { Scene } from './scene.ts';
import type { Loss, Shim } from './shim.ts';

/** What was passing when the fault struck, for faults on a leg. */
interface Passing {
  readonly shim: Shim;
  readonly connection: Connection;
  readonly rest: Buffer;
}

/** Returns what passes in the place of `rest`, if anything else. */
type Strike<F> = (fault: F, scene: Scene, passing: Passing) => Buffer | void | Promise<void>;

/** Arms a fault for its moment; `struck` is called when it strikes. */
export function armStrike({ fault, moment }: PlannedStrike, scene: Scene, struck: () => void): void {
  const strike = strikes[fault.kind] as Strike<Fault>;
  if (fault.kind === 'cut-power' && fault.afterEnd) {
    scene.afterClients(() => {
      struck();
      scene.cutPower(fault.client);
    });
    return;
  }
  if ('ms' in moment) {
    // Faults that come by the clock are on processes, and look at nothing that passes.
    const nothing = {} as Passing;
    scene.later(moment.ms, async () => {
      struck();
      await strike(fault, scene, nothing);
    });
    return;
  }
  const { shim } = scene.node(moment.node);
  shim.arm(moment.direction, moment.byte, async (rest, connection) => {
    struck();
    return (await strike(fault, scene, { shim, connection, rest })) ?? rest;
  });
}

function lose(how: Loss): Strike<Extract<Fault, { kind: Loss }>> {
  return ({ ms }, scene, { shim }) => {
    shim.lose(how);
    if (ms !== null) scene.later(ms, () => shim.heal());
  };
}

const strikes: { readonly [Kind in FaultKind]: Strike<Extract<Fault, { kind: Kind }>> } = {
  'kill-node': ({ node, restartMs }, scene) => {
    scene.node(node).kill();
    if (restartMs !== null) scene.later(restartMs, () => scene.node(node).restart());
  },
  'kill-worker': ({ node }, scene) => scene.node(node).killWorker(),
  'stop-node': ({ node, ms }, scene) => {
    scene.node(node).signal('SIGSTOP');
    scene.later(ms, () => scene.node(node).signal('SIGCONT'));
  },
  'kill-client': ({ client }, scene) => scene.client(client)?.kill(),
  'cut-power': ({ client }, scene) => scene.cutPower(client),
  'stop-client': ({ client, ms }, scene) => {
    scene.client(client)?.signal('SIGSTOP');
    scene.later(ms, () => scene.client(client)?.signal('SIGCONT'));
  },
  reset: (_fault, _scene, { connection }) => connection.reset(),
  cut: (_fault, _scene, { connection }) => connection.cut(),
  swallow: lose('swallow'),
  stall: lose('stall'),
  flip: ({ bit }, _scene, { rest }) => {
    const changed = Buffer.from(rest);
    changed.writeUInt8(changed.readUInt8(0) ^ (1 << bit), 0);
    return changed;
  },
  drop: ({ bytes }, _scene, { rest }) => rest.subarray(bytes),
  repeat: ({ bytes }, _scene, { rest }) => Buffer.concat([rest.subarray(0, bytes), rest]),
  slow: ({ bytesPerSecond, ms }, scene, { shim }) => {
    shim.pace(bytesPerSecond);
    scene.later(ms, () => shim.pace());
  },
  delay: ({ delayMs }, _scene, { shim }) => {
    shim.delayMs = delayMs;
  },
  'disk-client': ({ client, bytes }, scene) => scene.client(client)?.limitFiles(bytes),
  'disk-origin': ({ node, bytes }, scene) => scene.node(node).limitFiles(bytes),
  'replace-file': ({ file, bytes }, scene) => scene.source.replace(file, bytes),
  'rewrite-file': ({ file, truncates }, scene) => scene.source.rewrite(file, truncates),
  'step-node': ({ node }, scene) => scene.node(node).signal('SIGUSR2'),
  'step-client': ({ client }, scene) => scene.client(client)?.signal('SIGUSR2'),
};
