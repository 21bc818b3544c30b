/**
 * Which names a glob means: `*` and `?` within a segment, `**` for any number of segments.
 *
 * Owns their syntax. Does not know whose globs they are, or what is on the disk.
 * Invariant: a name is read once from its beginning to its end, whatever the glob; it costs no more than its length times the
 * places in the glob where it could be at the same time.
 * Grammar: docs/security.md#globs
 */

/** `within` follows `enter`: together they are `**` and the slash behind it. `rest` is `**` at the end. */
type Step =
  | { readonly kind: 'is'; readonly character: string }
  | { readonly kind: 'one' | 'many' | 'enter' | 'within' | 'rest' };

const maxGlobBytes = 4096;
const everything = '**';

/** Several globs, of which a name must match one. */
export class Globs {
  /** As they were written. */
  readonly texts: readonly string[];
  readonly #globs: readonly Glob[];

  /** Each must be one: see `globProblem`. */
  constructor(texts: readonly string[]) {
    this.texts = texts;
    this.#globs = texts.map((text) => new Glob(text));
  }

  get isEverything(): boolean {
    return this.texts.includes(everything);
  }

  /** Whether `name`, without what does not matter in it (`plainName`), is meant; the root by `**` alone. */
  match(name: string): boolean {
    return this.isEverything || (name !== '' && isComposed(name) && this.#globs.some((glob) => glob.matches(name)));
  }

  /** Whether something in the directory `name` may be meant. */
  leadThrough(name: string): boolean {
    return this.isEverything || (isComposed(name) && this.#globs.some((glob) => glob.leadsThrough(name)));
  }

  /** Whether all that `others` mean is certainly meant. */
  cover(others: Globs): boolean {
    return this.isEverything || others.texts.every((text) => this.texts.includes(text));
  }
}

/** Says what is wrong with `text` as a glob; undefined if nothing is. */
export function globProblem(text: string): string | undefined {
  if (text === '') return 'an empty glob';
  if (Buffer.byteLength(text) > maxGlobBytes) return `a glob of more than ${maxGlobBytes} bytes`;
  if (/\p{Cc}|\p{Cs}/u.test(text)) return 'a control character in a glob';
  if (text.startsWith('/')) return 'a glob that begins with "/", and names are relative to the root';
  const segments = text.split('/');
  if (segments.includes('')) return 'a glob with nothing between or behind its "/"';
  if (segments.some((segment) => segment === '.' || segment === '..')) return 'a glob with "." or ".." in it';
  if (segments.some((segment) => segment.includes(everything) && segment !== everything)) {
    return 'a glob in which "**" does not stand alone between "/"';
  }
  return undefined;
}

/** A name on the wire as globs see it: `a/./b` and `a//b` are `a/b`, and the root is empty. */
export function plainName(name: string): string {
  return name
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/');
}

/** Two spellings of one character would be two names to a glob, and one on some disks. */
function isComposed(name: string): boolean {
  return name === name.normalize('NFC');
}

class Glob {
  readonly #steps: readonly Step[];
  /** The number of the round in which a place was last reached. */
  readonly #reached: Float64Array;
  #round = 0;
  /** In turn: where a reader is, and where the next character leads. */
  readonly #places: readonly [number[], number[]] = [[], []];

  constructor(text: string) {
    this.#steps = toSteps(text.normalize('NFC'));
    this.#reached = new Float64Array(this.#steps.length + 1);
  }

  matches(name: string): boolean {
    return this.#follow(name).includes(this.#steps.length);
  }

  leadsThrough(name: string): boolean {
    return this.#follow(name === '' ? '' : `${name}/`).length > 0;
  }

  /** All places in the glob at which a reader of `text` may be. */
  #follow(text: string): readonly number[] {
    let [places, next] = this.#places;
    places.length = 0;
    this.#round += 1;
    this.#reach(0, places);
    for (const character of text) {
      if (places.length === 0) break;
      next.length = 0;
      this.#round += 1;
      for (const place of places) this.#advance(place, character, next);
      [places, next] = [next, places];
    }
    return places;
  }

  #advance(place: number, character: string, next: number[]): void {
    const step = this.#steps[place];
    const isSlash = character === '/';
    if (step?.kind === 'is') {
      if (step.character === character) this.#reach(place + 1, next);
    } else if (step?.kind === 'rest') this.#reach(place, next);
    else if (step?.kind === 'within') this.#reach(isSlash ? place - 1 : place, next);
    else if (step && !isSlash) this.#reach(step.kind === 'many' ? place : place + 1, next);
  }

  /** Comes to `place`, and to where one gets from there for nothing. */
  #reach(place: number, places: number[]): void {
    if (this.#reached[place] === this.#round) return;
    this.#reached[place] = this.#round;
    places.push(place);
    const kind = this.#steps[place]?.kind;
    if (kind === 'many' || kind === 'rest') this.#reach(place + 1, places);
    else if (kind === 'enter') this.#reach(place + 2, places);
  }
}

function toSteps(text: string): Step[] {
  const segments = text.split('/');
  return segments.flatMap((segment, index): Step[] => {
    const isLast = index === segments.length - 1;
    if (segment === everything) return isLast ? [{ kind: 'rest' }] : [{ kind: 'enter' }, { kind: 'within' }];
    const steps = [...segment].map(toStep);
    return isLast ? steps : [...steps, { kind: 'is', character: '/' }];
  });
}

function toStep(character: string): Step {
  if (character === '*') return { kind: 'many' };
  return character === '?' ? { kind: 'one' } : { kind: 'is', character };
}
