// Fails if package-lock.json would let a registry decide what users get: a package of the program itself without an
// integrity hash, or an address that some registry was reached by.
//
// Usage: node tools/check-lock.mjs [package-lock.json]
import { readFileSync } from 'node:fs';

const file = process.argv[2] ?? 'package-lock.json';
const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages).filter(([location]) => location !== '');
const problems = entries.flatMap(([location, { dev = false, integrity, resolved }]) => [
  ...(dev || integrity
    ? []
    : [`${location}: has no integrity hash; use a version of which every platform is published`]),
  ...(resolved ? [`${location}: names the registry that it came from`] : []),
]);
for (const problem of problems) console.error(`${file}: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
