/** What /proc tells of processes, for tests that wait for what no line of output says. Linux only. */

import { execFileSync } from 'node:child_process';

export const linuxOnly = { skip: process.platform !== 'linux' && 'looks into /proc, which is Linux’s' };

export function childrenOf(pid: number): number[] {
  const text = execFileSync('cat', [`/proc/${pid}/task/${pid}/children`], { encoding: 'utf8' });
  return text.trim().split(' ').filter(Boolean).map(Number);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Settles once `condition` holds, however slow the machine is; the test's own deadline ends it. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
