// Loaded into a process with --import: of every file that it syncs, CHAOS_SYNCED gets a copy under the number of its inode,
// which is all of it that a machine without power has for certain. The copy is taken before the sync and counts behind it.
// Linux alone: what is open for writing only is read through /proc.
import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';

const directory = process.env.CHAOS_SYNCED;

/** Copies what the open files hold; what is returned makes the copies count. */
function copy(fds) {
  const copies = fds.map((fd) => path.join(directory, String(fs.fstatSync(fd).ino)));
  for (const [index, fd] of fds.entries())
    fs.writeFileSync(`${copies[index]}.new`, fs.readFileSync(`/proc/self/fd/${fd}`));
  return () => {
    for (const made of copies) fs.renameSync(`${made}.new`, made);
  };
}

const any = await fs.promises.open(import.meta.filename);
const shared = Object.getPrototypeOf(any);
await any.close();
for (const call of ['sync', 'datasync']) {
  const plain = shared[call];
  shared[call] = async function () {
    const opened = await this.stat();
    if (!opened.isFile()) return plain.call(this);
    const count = copy([this.fd]);
    await plain.call(this);
    count();
  };
}

// Files that have no name yet are synced by their number, or all at once.
const { fsync } = fs;
fs.fsync = (fd, done) => {
  const count = copy([fd]);
  fsync(fd, (error) => {
    if (!error) count();
    done(error);
  });
};
syncBuiltinESMExports();

const koffi = createRequire(import.meta.url)('koffi');
const { load } = koffi;
koffi.load = (...names) => {
  const library = load(...names);
  const func = library.func.bind(library);
  library.func = (declaration) => {
    const call = func(declaration);
    if (!declaration.includes('syncfs')) return call;
    const later = (fd, done) => {
      const count = copy(namelessFiles());
      call.async(fd, (error, result) => {
        if (!error && result === 0) count();
        done(error, result);
      });
    };
    return Object.assign((...parameters) => call(...parameters), { async: later });
  };
  return library;
};

function namelessFiles() {
  return fs
    .readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        const opened = fs.fstatSync(fd);
        return opened.isFile() && opened.nlink === 0;
      } catch {
        return false;
      }
    });
}
