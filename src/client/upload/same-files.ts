/**
 * Which files an origin has already, with the content that they have here: compared by the digests of their pieces, a few files at
 * once, each circuit used for one file after the other.
 *
 * Invariant: what cannot be compared, here or there, counts as another; its failure is told by whoever sends it.
 */

import { asHoplineError } from '../../core/errors.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { SourceFile } from './source/source-file.ts';
import { FileSend } from './upload-file.ts';
import type { FileToSend } from './uploads-run.ts';

interface Compared {
  readonly file: string;
  readonly source: SourceFile;
  readonly send: FileSend;
}

/** Each file is read on both sides, one piece after the other. */
const atOnce = 4;

/** The names, at the origin, of those of `files` that are the same there. Throws what the circuits fail with. */
export async function findSame(
  files: readonly FileToSend[],
  circuits: Circuits,
  client: ClientContext,
  parallel = atOnce,
): Promise<ReadonlySet<string>> {
  const comparison = new FilesComparison(files, circuits, client);
  await Promise.all(Array.from({ length: Math.min(parallel, files.length) }, () => comparison.runInTurn()));
  return comparison.same;
}

class FilesComparison {
  readonly same = new Set<string>();
  readonly #waiting: FileToSend[];
  readonly #circuits: Circuits;
  readonly #client: ClientContext;

  constructor(files: readonly FileToSend[], circuits: Circuits, client: ClientContext) {
    this.#waiting = [...files].reverse();
    this.#circuits = circuits;
    this.#client = client;
  }

  /** Compares one file after the other, as long as there are any. Throws what the circuits fail with. */
  async runInTurn(): Promise<void> {
    let now = await this.#open();
    const work = async (circuit: Circuit) => {
      while (now) {
        await this.#compare(now, circuit);
        now = await this.#open();
        // A file that failed here leaves an answer behind that nobody takes.
        if (!circuit.isSettled) return;
        if (now) circuit.send(now.send.lookRequests());
      }
    };
    try {
      while (now) await this.#circuits.run(() => now?.send.lookRequests() ?? [], work);
    } finally {
      await now?.source.close();
    }
  }

  async #compare({ file, source, send }: Compared, circuit: Circuit): Promise<void> {
    await send.lookOver(circuit).catch(throwOfCircuit);
    if (send.isDone) this.same.add(file);
    this.#circuits.progressed(circuit);
    await source.close();
  }

  /** The next file that can be read. */
  async #open(): Promise<Compared | undefined> {
    for (let chosen = this.#waiting.pop(); chosen; chosen = this.#waiting.pop()) {
      const { file } = chosen;
      const source = await SourceFile.open(chosen.source).catch(() => undefined);
      if (!source) continue;
      const shared = { client: this.#client, circuits: this.#circuits, onEvent: () => {} };
      return { file, source, send: new FileSend({ file, source, force: false, ...shared }) };
    }
    return undefined;
  }
}

/** What is about a file, and not about its circuit, only keeps it from being the same. */
function throwOfCircuit(error: unknown): void {
  if (!/^(FILE|DISK)_/.test(asHoplineError(error).code)) throw error;
}
