// Adds to package-lock.json the optional platform packages that its registry did not have.
//
// npm leaves such a package out of the lock file that it writes, and `npm ci` then
// refuses that file ("Missing: X from lock file"). An entry of name, version and
// platform is enough for `npm ci`. It has no integrity, since nobody here has seen
// the package: npm takes what the registry serves under that version.
//
// Usage: node tools/complete-lock.mjs [package-lock.json]
import { readFileSync, writeFileSync } from 'node:fs';

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];

const file = process.argv[2] ?? 'package-lock.json';
const lock = JSON.parse(readFileSync(file, 'utf8'));
const absent = findAbsent(lock.packages);
for (const { name, location, version, dev } of absent) lock.packages[location] = makeEntry(name, version, dev);
// npm sorts the same way, so that its next install changes nothing.
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
if (absent.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${file}: ${absent.length} optional packages added`);

function findAbsent(packages) {
  const found = new Map();
  for (const [parent, { optionalDependencies = {}, dev = false }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isPresent(packages, parent, name)) continue;
      const location = `node_modules/${name}`;
      const earlier = found.get(location);
      if (earlier && earlier.version !== version)
        throw new Error(`${name} is wanted in two versions: complete it by hand`);
      found.set(location, { name, location, version, dev: dev && (earlier?.dev ?? true) });
    }
  }
  return [...found.values()];
}

// As Node resolves it: in the node_modules of the package itself, then of each folder above it.
function isPresent(packages, parent, name) {
  for (let base = parent; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    if (packages[base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`]) return true;
    if (base === '') return false;
  }
}

function makeEntry(name, version, dev) {
  const words = name.split('/').at(-1).split('-');
  const os = systems.find((system) => words.includes(system));
  const cpu = processors.find((processor) => words.includes(processor));
  if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version) || (os === undefined && cpu !== 'wasm32')) {
    throw new Error(`${name}@${version} does not say its platform and exact version: complete it by hand`);
  }
  const libc = os === 'linux' ? libcOf(words) : undefined;
  return {
    version,
    ...(cpu ? { cpu: [cpu] } : {}),
    ...(dev ? { dev: true } : {}),
    ...(libc ? { libc: [libc] } : {}),
    optional: true,
    ...(os ? { os: [os] } : {}),
  };
}

function libcOf(words) {
  if (words.some((word) => word.startsWith('musl'))) return 'musl';
  return words.some((word) => word.startsWith('gnu') || word === 'glibc') ? 'glibc' : undefined;
}
