// Loaded into a process with --import: of every file that it syncs, CHAOS_SYNCED gets a copy under the number of its inode,
// which is all of it that a machine without power has for certain. The copy is taken before the sync and counts behind it.
// Linux alone: what is open for writing only is read through /proc.
import fs from 'node:fs';
import path from 'node:path';

const directory = process.env.CHAOS_SYNCED;
const any = await fs.promises.open(import.meta.filename);
const shared = Object.getPrototypeOf(any);
await any.close();

for (const call of ['sync', 'datasync']) {
  const plain = shared[call];
  shared[call] = async function () {
    const opened = await this.stat();
    if (!opened.isFile()) return plain.call(this);
    const copy = path.join(directory, String(opened.ino));
    fs.writeFileSync(`${copy}.new`, fs.readFileSync(`/proc/self/fd/${this.fd}`));
    await plain.call(this);
    fs.renameSync(`${copy}.new`, copy);
  };
}
