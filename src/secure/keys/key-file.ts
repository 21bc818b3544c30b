/**
 * A key file: text with comments and one secret key, which its owner alone may read.
 *
 * Invariant: a key file is never replaced, and is whole from the moment it has its name; one that others may read is not used.
 * Documentation: docs/security.md#keys
 */

import type { Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';
import { systemError } from '../../core/system-errors.ts';
import { makeText } from '../../io/disk/whole-text.ts';
import { type KeyPair, newKey, parseSecretKey } from '../../wire/keys/key.ts';

/** Far more than a key with its comments. */
const maxFileBytes = 16 * 1024;
const othersMay = 0o077;

/** The secret in `file`, which may be a pipe or a terminal too. Throws `KEY_INVALID`. */
export async function readKeyFile(file: string): Promise<KeyPair> {
  const handle = await openKeyFile(file);
  try {
    return await readKey(file, handle);
  } finally {
    await handle.close();
  }
}

/** Opens `file` to read its key. Throws `KEY_INVALID`. */
export function openKeyFile(file: string): Promise<FileHandle> {
  return open(file, 'r').catch((cause) => {
    throw unread(file, cause);
  });
}

/** The secret in `file`, which is open; a pipe gives it once. Throws `KEY_INVALID`. */
export async function readKey(file: string, handle: FileHandle): Promise<KeyPair> {
  checkOwner(file, await handle.stat());
  return parseKeyFile(await readText(file, handle), file);
}

/** The one secret in the text of a key file. Throws `KEY_INVALID`, with the line. */
export function parseKeyFile(text: string, source: string): KeyPair {
  const lines = text.split(/\r?\n/).map((line, index) => ({ text: line.trim(), number: index + 1 }));
  const [secret, second] = lines.filter((line) => line.text !== '' && !line.text.startsWith('#'));
  if (!secret) throw new HoplineError('KEY_INVALID', `${source}: expected a secret key, and there is none`);
  if (second)
    throw new HoplineError('KEY_INVALID', `${source}:${second.number}: expected nothing behind the secret key`);
  return parseSecretKey(secret.text, `${source}:${secret.number}`);
}

/** Makes a key, and a file of it where none is yet. Throws `KEY_INVALID` where one is, `DISK_BUSY`, `DISK_FULL`, `DISK_FAILED`. */
export async function createKeyFile(file: string, now: Date): Promise<KeyPair> {
  const { key, secretText } = newKey();
  const text = `# created: ${now.toISOString()}\n# public key: ${key.public.text}\n${secretText}\n`;
  const bytes = Buffer.from(text);
  try {
    await makeText(file, bytes, 0o600);
  } catch (error) {
    if (!(error instanceof HoplineError) || error.code !== 'DISK_EXISTS') throw error;
    throw new HoplineError('KEY_INVALID', `${file} is there already, and no key is replaced: use another name`);
  } finally {
    bytes.fill(0);
  }
  return key;
}

/** Root may keep a key for another user, as service managers do; what is no regular file has no mode to go by. */
function checkOwner(file: string, found: Stats): void {
  const { uid, mode } = found;
  const user = process.geteuid?.();
  if (found.isDirectory()) throw new HoplineError('KEY_INVALID', `${file} is a directory, expected a key file`);
  if (user === undefined || !found.isFile()) return;
  if (uid !== user && uid !== 0) {
    throw new HoplineError('KEY_INVALID', `${file} belongs to another user: whoever owns it knows the key`);
  }
  if ((mode & othersMay) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new HoplineError(
    'KEY_INVALID',
    `${file} has mode ${shown}, so others may use it: chmod 600 and consider a new key`,
  );
}

async function readText(file: string, handle: FileHandle): Promise<string> {
  const bytes = Buffer.alloc(maxFileBytes);
  let length = 0;
  try {
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      ({ bytesRead: read } = await handle.read(bytes, length, bytes.length - length, null));
    }
    if (length === bytes.length) throw new HoplineError('KEY_INVALID', `${file} is too long for a key file`);
    return bytes.toString('utf8', 0, length);
  } catch (cause) {
    throw unread(file, cause);
  } finally {
    bytes.fill(0);
  }
}

function unread(file: string, cause: unknown): HoplineError {
  return systemError('KEY_INVALID', `cannot read the key file ${file}`, cause);
}
