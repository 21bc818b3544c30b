/** What /proc says of processes; nothing at all where there is none. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process and its living descendants, parents first. */
export function* tree(pid: number): Generator<number> {
  yield pid;
  const children = readProc(`/proc/${pid}/task/${pid}/children`) ?? '';
  for (const child of children.split(' ')) if (child !== '') yield* tree(Number(child));
}

/** A file of /proc, or undefined if it cannot be read: a process may end at any moment. */
export function readProc(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** What the descriptors of a process refer to: paths, `socket:[4711]`, `pipe:[4712]`. */
export function openDescriptors(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).flatMap((name) => readDescriptor(`${directory}/${name}`));
  } catch {
    return [];
  }
}

function readDescriptor(file: string): string[] {
  try {
    return [readlinkSync(file)];
  } catch {
    return [];
  }
}
