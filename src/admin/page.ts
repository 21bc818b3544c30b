/**
 * The page for people: its files, and what it shows before any script has run.
 *
 * The script of the page makes the same of each look, here and in the browser; this knows nothing of how it looks.
 * Invariant: the page loads from the listener alone.
 */

import type { ChartPoint, View } from './observer.ts';
import { pageFiles } from './page-files.ts';

interface PagePart {
  readonly type: string;
  readonly content: Buffer;
}

export interface Page {
  readonly type: string;
  /** As HTML, whole. */
  render(view: View, points: readonly ChartPoint[]): string;
  /** What the page loads from `path`; undefined for anything else. */
  part(path: string): PagePart | undefined;
}

/** What the script of the page exports: the inside of each section by its id. */
interface PageScript {
  readonly renderSections: (view: View, points: readonly ChartPoint[]) => Readonly<Record<string, string>>;
}

/** The first imports the others. */
const scriptNames = ['page.js', 'markup.js', 'picture.js', 'chain.js'];

/** Reads the page. @param directory where it is, if not in the package */
export async function loadPage(directory?: string): Promise<Page> {
  const { read, load } = pageFiles(directory);
  const [html, style, icon, ...scripts] = await Promise.all([
    read('page.html'),
    read('page.css'),
    read('icon.svg'),
    ...scriptNames.map(read),
  ]);
  const { renderSections } = (await load('page.js')) as PageScript;
  const template = String(html);
  const scriptParts = scripts.map((content, index): [string, PagePart] => {
    return [`/${scriptNames[index]}`, { type: 'text/javascript; charset=utf-8', content }];
  });
  const parts: Readonly<Record<string, PagePart>> = {
    ...Object.fromEntries(scriptParts),
    '/icon.svg': { type: 'image/svg+xml', content: icon },
    '/page.css': { type: 'text/css; charset=utf-8', content: style },
  };
  return {
    type: 'text/html; charset=utf-8',
    render: (view, points) => {
      const sections = renderSections(view, points);
      return template.replace(/<!--(\w+)-->/g, (_, id: string) => sections[id] ?? '');
    },
    part: (name) => (Object.hasOwn(parts, name) ? parts[name] : undefined),
  };
}
