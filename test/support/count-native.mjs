// Loaded before the program: its calls of the C library are counted, and written to the file that COUNT_NATIVE names
// when the process ends, as JSON.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const koffi = createRequire(import.meta.url)('koffi');
const counts = {};
const count = (name) => {
  counts[name] = (counts[name] ?? 0) + 1;
};
const { load } = koffi;
koffi.load = (library) => {
  const loaded = load(library);
  return {
    func: (declaration) => {
      const called = loaded.func(declaration);
      const name = /(\w+)\(/.exec(declaration)?.[1];
      const counted = (...parameters) => {
        count(name);
        return called(...parameters);
      };
      counted.async = (...parameters) => {
        count(name);
        called.async(...parameters);
      };
      return counted;
    },
  };
};
process.on('exit', () => writeFileSync(process.env.COUNT_NATIVE, JSON.stringify(counts)));
