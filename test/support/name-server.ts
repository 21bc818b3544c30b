/** A name server on loopback for one test: UDP, a record or an error for each question, or silence. */

import dgram from 'node:dgram';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Addresses for A; `unknown` for NXDOMAIN; nothing for silence. */
export type Answers = (name: string, family: 4 | 6) => readonly string[] | 'unknown' | undefined;

export interface NameServer {
  /** `ADDRESS:PORT`. */
  readonly address: string;
  /** Names that were asked for, in order, once for each question. */
  readonly asked: string[];
}

export async function startNameServer(t: TestContext, answers: Answers): Promise<NameServer> {
  const socket = dgram.createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (question, from) => {
    const { name, family, end } = readQuestion(question);
    asked.push(name);
    const answer = answers(name, family);
    if (answer) socket.send(formatAnswer(question.subarray(0, end), answer), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => new Promise<void>((resolve) => socket.close(resolve)));
  return { address: `127.0.0.1:${(socket.address() as AddressInfo).port}`, asked };
}

function readQuestion(message: Buffer): { name: string; family: 4 | 6; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), family: message.readUInt16BE(at + 1) === 28 ? 6 : 4, end: at + 5 };
}

function formatAnswer(question: Buffer, answer: readonly string[] | 'unknown'): Buffer {
  const addresses = answer === 'unknown' ? [] : answer;
  const head = Buffer.from(question);
  head.writeUInt16BE(answer === 'unknown' ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(addresses.length, 6);
  // No further records, such as the one that asks for longer messages.
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => {
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
    return record;
  });
  return Buffer.concat([head, ...records]);
}
