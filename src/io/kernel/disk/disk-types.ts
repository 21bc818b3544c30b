/** What the numbers say by which Linux knows its file systems. */

/** Of which a sync of all tells what failed: ext, XFS, Btrfs, tmpfs, F2FS. */
const tellingTypes: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010]);
/** Others that never wait for another machine: overlayfs, bcachefs, ZFS. */
const otherLocalTypes: ReadonlySet<number> = new Set([0x794c7630, 0xca451a4e, 0x2fc12fc1]);

/** Whether nothing on it waits for another machine. */
export function isLocalType(type: number): boolean {
  return tellingTypes.has(type) || otherLocalTypes.has(type);
}

/** Whether a sync of all of it tells what failed. */
export function tellsOfSync(type: number): boolean {
  return tellingTypes.has(type);
}
