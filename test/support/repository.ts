/** Where the repository is: the tests run in a compiled copy of `test/`, and with the repository as their working directory. */

import { pathToFileURL } from 'node:url';

export const repository = pathToFileURL(`${process.cwd()}/`);
