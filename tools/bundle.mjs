// Bundles the program into dist/bin/: a command that loads eighty files and packages from the disk takes twice as long to start.
//
// All of it is one script, of which a command runs the parts that it needs, and which is loaded together with what V8 made of it
// (src/cli/process/load-program.ts). Those of a client have another one to themselves, half as long. Beside these
// stand the start, what start and program share, and what has to import a module.
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bundleScripts, bundleStart, licencesOf } from './bundling.mjs';

const folder = 'dist/bin';
/** Files of their own. What is imported by several of the others exists once. */
const apart = ['cli/process/signals', 'cli/process/exceptions', 'admin/page'];
const builds = [await bundleStart(folder, { apart }), ...(await bundleScripts(folder, { apart }))];
chmodSync(path.join(folder, 'main.js'), 0o755);
writeFileSync(path.join(folder, 'package.json'), '{ "type": "commonjs" }\n');
writeFileSync(path.join(folder, 'LICENSES.txt'), licencesOf(builds));
