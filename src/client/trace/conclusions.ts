/**
 * What follows from the figures of a route: clocks that are wrong, legs that swallow large segments, legs that are slow, in one direction or in both.
 *
 * Asks nobody. Invariant: a leg is blamed for what the way before it does not have already.
 */

import type { HopLook, WayDirection } from './hop-look.ts';
import { describeLeg, describeLook, tellSwallowed } from './hop-words.ts';

/** Encrypted requests that come with the first message are served at once within 10 s; half of that is a warning. */
const clockWarnMs = 5_000;
/** A leg is slow that brings this part of what it is held against. */
const slowPart = 1 / 4;
/** Nor is one that brings as much as a line of 100 Mbit/s called slow, whatever it is held against. */
const enoughPerSecond = 12_500_000;

/** Adds what is to be said about clocks to the looks at one route. */
export function concludeClocks(looks: readonly HopLook[]): void {
  const wrong = looks.filter(({ clock }) => clock && Math.abs(clock.offsetMs) - clock.errorMs > clockWarnMs);
  const told = looks.filter(({ clock }) => clock !== undefined);
  const [first] = wrong;
  if (first && wrong.length > 1 && wrong.length === told.length && areOne(wrong)) {
    const message = `the clock of this machine is ${describeOffset(-offsetOf(first))} that of every hop`;
    first.findings.push({ kind: 'warning', message, advice: 'set it, or have it set by NTP' });
    return;
  }
  for (const look of wrong) {
    const message = `the clock of ${describeLook(look)} is ${describeOffset(offsetOf(look))} this machine's`;
    const advice = 'set the wrong one of the two: keys end by it, and encrypted requests wait a round trip longer';
    look.findings.push({ kind: 'warning', message, advice });
  }
}

/** Adds what is to be said about large segments: the first leg of a way that swallows them is the one. */
export function concludeLarge(looks: readonly HopLook[]): void {
  for (const look of looks) {
    const direction = look.swallows.find((one) => !look.before?.swallows.includes(one));
    if (direction) look.findings.push(tellSwallowed(look, direction));
  }
}

/** Adds what is to be said about the rate of a leg, once those of the hop before it are known. */
export function concludeRates(look: HopLook, format: (bytesPerSecond: number) => string): void {
  const before = look.before?.rates ?? {};
  const { up, down } = look.rates;
  if (up === undefined || down === undefined) return;
  const leg = describeLeg(look);
  const isSlower = (direction: WayDirection) => {
    const [own = 0, earlier = Number.POSITIVE_INFINITY] = [look.rates[direction], before[direction]];
    return own < Math.min(enoughPerSecond, earlier * slowPart);
  };
  const advice =
    'take another way around it, or look for what holds it back there: a limit, a lossy line, a duplex that differs';
  const hop = describeLook(look);
  if (up < down * slowPart && isSlower('up')) {
    const message = `${leg}, is slow towards ${hop}: ${format(up)}, and ${format(down)} back`;
    look.findings.push({ kind: 'warning', message, advice });
  } else if (down < up * slowPart && isSlower('down')) {
    const message = `${leg}, is slow on the way back from ${hop}: ${format(down)}, and ${format(up)} towards it`;
    look.findings.push({ kind: 'warning', message, advice });
  } else if (look.before && isSlower('up') && isSlower('down')) {
    const message = `${leg}, is slow: ${format(Math.min(up, down))}, and the way before it has ${format(Math.min(before.up ?? 0, before.down ?? 0))}`;
    look.findings.push({ kind: 'warning', message, advice });
  }
}

function areOne(looks: readonly HopLook[]): boolean {
  const offsets = looks.map(offsetOf);
  return Math.max(...offsets) - Math.min(...offsets) < clockWarnMs;
}

function offsetOf({ clock }: HopLook): number {
  return clock?.offsetMs ?? 0;
}

function describeOffset(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000);
  const size =
    seconds < 120
      ? `${seconds} s`
      : seconds < 7200
        ? `${Math.round(seconds / 60)} min`
        : `${Math.round(seconds / 3600)} h`;
  return `${size} ${ms > 0 ? 'ahead of' : 'behind'}`;
}
