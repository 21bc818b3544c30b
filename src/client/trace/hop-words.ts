/**
 * What a trace says is wrong with a hop, or with the leg to it, in words and with what to do.
 *
 * Invariant: no text from another machine is in it but what a node calls itself, and a key that is one.
 */

import { HoplineError } from '../../core/errors.ts';
import { type PublicKey, parsePublicKey } from '../../wire/keys/key.ts';
import { nameHop } from '../circuit/refusal-text.ts';
import { isJustBroken, nameLeg } from './ask-hop.ts';
import { type Finding, type HopLook, type WayDirection, wayTo } from './hop-look.ts';

export function describeLook(look: HopLook): string {
  return nameHop(look.place, wayTo(look));
}

export function describeLeg(look: HopLook): string {
  return nameLeg(look.place, wayTo(look));
}

/** `said`: what the node calls its key; `due`: what stands in the route or, as `known`, in `known_nodes`. */
export function tellChanged(
  look: HopLook,
  said: string | undefined,
  due: PublicKey,
  state: 'pinned' | 'known',
): Finding {
  const key = readKey(said);
  const says = key === undefined ? 'that it has no key' : `that its key is ${key}`;
  const where = state === 'pinned' ? 'the route' : 'known_nodes';
  const message = `${describeLook(look)} says ${says}, and ${where} has ${due.text}`;
  return failureFinding(new HoplineError('KEY_CHANGED', message, { hop: look.place }));
}

export function tellOld(look: HopLook, software: string): Finding {
  const message = `${describeLook(look)} is of an older version, ${software}: neither its clock, nor large segments and rates can be looked at`;
  return { kind: 'warning', message, advice: 'update hopline there' };
}

export function tellClassic(look: HopLook): Finding {
  const message = `${describeLook(look)} speaks the classic dialect only: nothing is verified over it, and nothing more can be looked at`;
  return { kind: 'warning', message, advice: 'run `hopline node` there' };
}

/** Behind a hop that speaks classic nobody can tell what else a hop speaks. */
export function tellBehindClassic(look: HopLook): Finding {
  const message = `${describeLook(look)} answers in the classic dialect, since a hop before it speaks that alone: nothing is verified over it, and nothing more can be looked at`;
  return { kind: 'warning', message, advice: 'run `hopline node` at the hop before it' };
}

/** Behind a hop that speaks classic nobody says which leg it is. */
export function tellLostInClassic(look: HopLook): Finding {
  const message = `no answer comes from ${describeLook(look)}; the hop before it speaks classic, and does not say why`;
  return failureFinding(new HoplineError('PEER_UNREACHABLE', message, { hop: look.place - 1 }));
}

export function tellSwallowed(look: HopLook, direction: WayDirection): Finding {
  const way = direction === 'up' ? 'on the way there' : 'on the way back';
  const message = `large segments vanish on ${describeLeg(look)}, ${way}, and small ones pass: a link there has a smaller MTU than both ends think`;
  const advice = 'let ICMP "fragmentation needed" pass there, lower the MTU of both ends, or clamp the MSS on the way';
  const error = new HoplineError('TIMEOUT_IDLE', message, { hop: look.place - 1 });
  return { kind: 'failure', error, advice, isSize: true };
}

/** For what is too slow for its large segments to be told from lost ones. */
export function tellCrawling(look: HopLook, direction: WayDirection): Finding {
  const way = direction === 'up' ? 'towards' : 'on the way back from';
  const message = `hardly anything passes ${way} ${describeLook(look)}: a few KiB take seconds`;
  return { kind: 'warning', message, advice: 'see with --rate which leg it is' };
}

/** For a circuit that broke although the hop had answered before. */
export function tellBrokenOff(look: HopLook, error: HoplineError): Finding {
  if (!isJustBroken(error)) return failureFinding(error);
  const message = `the circuit broke at ${describeLeg(look)}, while it was measured: ${error.message}`;
  return failureFinding(new HoplineError(error.code, message, { hop: look.place - 1, cause: error }));
}

export function tellUnmeasured(what: string, { message }: HoplineError): Finding {
  return { kind: 'warning', message: `not measured ${what}: ${message}`, advice: 'try again later' };
}

export function failureFinding(error: HoplineError): Finding {
  return { kind: 'failure', error };
}

function readKey(said: string | undefined): string | undefined {
  try {
    return said === undefined ? undefined : parsePublicKey(said, 'the answer of the node').text;
  } catch {
    return undefined;
  }
}
