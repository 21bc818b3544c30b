/** What an origin says of one file or directory, without its content. Documentation: docs/listing.md */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import { checkName } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import { checkStatus, requestStatus } from '../pieces/receive-piece.ts';
import { receiveListing } from './checked-listing.ts';
import type { RemoteEntry } from './list-directory.ts';
import { type LookOptions, type LookResult, look, lookNames } from './look.ts';

export interface StatFileOptions extends LookOptions {
  /** Path below the origin's root. */
  readonly file: string;
}

const names = { ...lookNames, file: true } as const satisfies OptionNames<StatFileOptions>;

interface FileStatus extends Pick<RemoteEntry, 'mode' | 'mtimeNs'> {
  readonly kind: 'file';
  /** Bytes. */
  readonly size: number;
  /** Changes when the file does. */
  readonly version: string;
  /** How the origin cuts the file. */
  readonly pieceBytes: number;
  /** The algorithm of the digests of its pieces. */
  readonly digest: string;
}

interface DirectoryStatus extends Pick<RemoteEntry, 'mode' | 'mtimeNs'> {
  readonly kind: 'directory';
}

export type StatResult = LookResult & (FileStatus | DirectoryStatus);

/** Asks what `file` is. Throws what the circuits do, such as `FILE_NOT_FOUND` and `FILE_DENIED`. */
export async function statFile(options: StatFileOptions): Promise<StatResult> {
  refuseUnknown(options, { by: 'statFile', names });
  const { file, limits } = options;
  checkName(file, limits?.maxNameBytes);
  let found: FileStatus | DirectoryStatus | undefined;
  const result = await look(options, {
    request: requestStatus(file, availableDigests()),
    answer: async (circuit, _circuits, client) => {
      found = await askFor(file, circuit, client);
    },
  });
  if (!found) throw new HoplineError('INTERNAL', 'a question has no answer and no failure');
  return { ...result, ...found };
}

async function askFor(
  file: string,
  circuit: Circuit,
  { limits }: ClientContext,
): Promise<FileStatus | DirectoryStatus> {
  try {
    const status = await circuit.receive('status', file);
    checkStatus(status, availableDigests(), limits);
    const { type, ...told } = status;
    return { kind: 'file', ...told };
  } catch (error) {
    if (asHoplineError(error).code !== 'FILE_IS_DIRECTORY') throw error;
    circuit.send([{ type: 'list', name: file, depth: 0 }]);
    return receiveDirectory(file, circuit, limits);
  }
}

async function receiveDirectory(
  file: string,
  circuit: Circuit,
  limits: ClientContext['limits'],
): Promise<DirectoryStatus> {
  // What an origin of an older version lists besides is left where it is.
  for await (const { entries } of receiveListing(circuit, file, limits)) {
    const [top] = entries;
    if (top?.kind === 'directory') return { kind: 'directory', mode: top.mode, mtimeNs: top.mtimeNs };
  }
  throw new HoplineError('PEER_PROTOCOL', `the origin lists "${file}" without the directory itself`);
}
