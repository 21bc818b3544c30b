// Marks the program as executable, so that it can be run from a checkout as it is from an installed package.
import { chmodSync } from 'node:fs';

chmodSync('dist/cli/main.js', 0o755);
