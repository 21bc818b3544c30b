/**
 * Packets to be sent: setups, probes, answers and refusals, and messages and answers that are passed on.
 *
 * An answer is in the form of its question.
 * Invariant: of what is passed on, only values that need another form are written anew.
 * Format: docs/protocol/packets.md
 */

import type { HoplineError } from '../../core/errors.ts';
import { wireCodes } from '../native/refusal.ts';
import { replaceMembers } from './json-object.ts';
import type { AnswerPacket, MessagePacket, Received, RefusalPacket } from './packet.ts';
import { encode, type Form, formOf, inForm, textOf, token } from './packet-fields.ts';

/** The setup of a server that listens on `listenport`. The original fronts compare `type` with text. */
export function encodeSetup(id: string, policy: string, listenport: number, token?: string): Buffer {
  return Buffer.from(JSON.stringify({ type: '1', id, privPolyId: policy, listenport: String(listenport), token }));
}

export function encodeProbe(form: Form): Buffer {
  return encode({ type: inForm('-2', form) });
}

/** The answer of server `id` to a message. */
export function encodeAnswer(message: MessagePacket, id: string, hash: string): Buffer {
  const { form } = message;
  const destid = token(message, 'srcid');
  return encode({
    type: inForm('2', form),
    srcid: inForm(id, formOf(message, 'srcid') === 'string' ? 'string' : form),
    ...(destid === undefined ? {} : { destid }),
    payloadsize: inForm(String(hash.length), form),
    payload: JSON.stringify(hash),
  });
}

/** A packet of type -1: for a packet that was understood, with its fields, but for the payload and a secret. */
export function encodeRefusal(error: HoplineError, question?: Received): Buffer {
  const fields: Record<string, string> = {};
  for (const name of question?.members.keys() ?? []) {
    if (!unrepeated.has(name)) fields[name] = token(question as Received, name) as string;
  }
  const code = wireCodes.find((known) => known === error.code) ?? 'INTERNAL';
  const type = inForm('-1', question?.form ?? 'number');
  return encode({ ...fields, type, code: JSON.stringify(code), payload: JSON.stringify(error.message) });
}

const unrepeated: ReadonlySet<string> = new Set(['payload', 'payloadsize', 'token', '__proto__']);

/**
 * A message for a server that writes `type` in `form`. An original server ends its only thread over a message without a
 * source, or with a payload that is no text, so it gets the one and the other.
 */
export function messageInForm(message: MessagePacket, form: Form): Buffer {
  const changes: Record<string, string> = {};
  if (message.form !== form) changes.type = inForm('0', form);
  if (form === 'string' && formOf(message, 'srcid') === undefined) changes.srcid = '""';
  if (form === 'string' && formOf(message, 'payload') === 'number') changes.payload = JSON.stringify(message.payload);
  return Object.keys(changes).length === 0 ? message.bytes : replaceMembers(message, changes);
}

/** What a server answered, in the form of the question. */
export function answerInForm(answer: AnswerPacket | RefusalPacket, message: MessagePacket): Buffer {
  const { form, source } = message;
  const changes: Record<string, string> = {};
  const destid = textOf(answer, 'destid');
  const asked = token(message, 'srcid');
  if (asked !== undefined && destid === source && token(answer, 'destid') !== asked) changes.destid = asked;
  for (const name of answer.form === form ? [] : ['type', 'payloadsize']) {
    const value = textOf(answer, name);
    if (value !== undefined) changes[name] = inForm(value, form);
  }
  return Object.keys(changes).length === 0 ? answer.bytes : replaceMembers(answer, changes);
}
