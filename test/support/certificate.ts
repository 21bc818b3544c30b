/** Self-signed certificates, made by the openssl command. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A reason to skip tests that need a certificate, or false. */
export const noCertificates: string | false = await run('openssl', ['version']).then(
  () => false as const,
  () => 'there is no openssl command',
);

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for `name` in `directory`, for two days. */
export async function makeCertificate(
  directory: string,
  name: string,
  kind: 'ec' | 'rsa' = 'ec',
): Promise<Certificate> {
  const certFile = path.join(directory, `${name}.pem`);
  const keyFile = path.join(directory, `${name}.key`);
  const algorithm = kind === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['rsa:2048'];
  const made = ['-newkey', ...algorithm, '-nodes', '-days', '2'];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  await run('openssl', ['req', '-x509', ...made, ...names, '-keyout', keyFile, '-out', certFile]);
  return { certFile, keyFile, cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
}
