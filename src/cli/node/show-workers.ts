/** The admin listener of several workers, which the first process has. */

import { formatAdminAddress } from '../../admin/admin-address.ts';
import { openAdmin } from '../../admin/open-admin.ts';
import { addSnapshots, takeSnapshot } from '../../admin/snapshot.ts';
import { VitalSigns } from '../../admin/vitals.ts';
import type { Config } from '../../config/config.ts';
import { effectiveConfig } from '../../config/effective.ts';
import { escapeText } from '../../core/text.ts';
import { createLog } from '../logging.ts';
import type { Running } from '../process/until-stopped.ts';
import type { RunningWorkers } from './workers.ts';

/** With the admin listener, if there is one, over all of them, from before the first has started to behind the last. */
export async function showWorkers(
  workers: RunningWorkers,
  config: () => Config,
  announce: (line: string) => void,
): Promise<Running> {
  const { admin: rules, log: logRules, node } = config();
  if (!rules) return workers;
  const vitals = new VitalSigns();
  let isStopping = false;
  const source = async () => {
    const own = takeSnapshot(undefined, await vitals.take(), isStopping);
    const all = await workers.look();
    return all
      ? { ...addSnapshots(all, [{ ...own, processes: [] }]), ...(isStopping ? { state: own.state } : {}) }
      : own;
  };
  const { log, end: endLog } = await createLog(logRules);
  const configuration = () => effectiveConfig(config());
  const admin = await openAdmin(rules, { source, configuration, limits: node.limits, log }).catch(async (error) => {
    await workers.close({ graceMs: 0 });
    throw error;
  });
  const started = workers.started.then(() => announce(escapeText(`admin on ${formatAdminAddress(admin.address)}`)));
  return {
    ...workers,
    started,
    close: async (how) => {
      isStopping = true;
      await workers.close(how).finally(() => admin.close());
      vitals.close();
      await endLog();
    },
  };
}
