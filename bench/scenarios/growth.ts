/** What a byte costs, and what memory is held, as the file grows; hops grow in `chain`. */

import type { Contender } from '../contenders/contender.ts';
import { hopline, hoplineEncrypted, hoplinePortable } from '../contenders/hopline.ts';
import { haproxySplice, nodePipe } from '../contenders/http.ts';
import type { Content } from '../content.ts';
import { type Bench, interleave, present, withChains } from '../measure.ts';
import { formatSize } from '../options.ts';
import { moveFile } from './chain.ts';

const relays = 3;

export async function runGrowth(bench: Bench, content: Content): Promise<void> {
  const running = present(bench, 'growth', [hopline, hoplineEncrypted, hoplinePortable, haproxySplice, nodePipe]);
  for (const size of bench.settings.sizes) {
    console.error(`growth, ${formatSize(size)} through ${relays} relays`);
    const name = content.file(size);
    // A chain for each size, so that a peak of memory belongs to it.
    const start = (contender: Contender) => contender.start({ fleet: bench.fleet, relays, root: content.root });
    await withChains(bench, 'growth', running, start, (chains) =>
      interleave(
        bench,
        { scenario: 'growth', x: size, relays },
        chains.map(({ contender, chain }) => ({
          name: contender.name,
          run: () => moveFile(bench, contender, chain, name, size),
        })),
      ),
    );
  }
}
