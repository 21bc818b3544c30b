/**
 * From the target of a request to the name of a file.
 *
 * Decodes once, and refuses every target that two programs could decode in two ways. Does not know whether there is such
 * a file, or whether it may be opened.
 */

export interface TargetName {
  /** With `/` between its parts; that of a directory's index for a target that ends in `/`. */
  readonly name: string;
  /** The target with a `/` behind its path. */
  readonly asDirectory: string;
}

const indexName = 'index.html';

/** Undefined for a path that is badly encoded, or has an encoded `/` or an empty part. */
export function nameOf(target: string): TargetName | undefined {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  // An empty part would make other names for the same file; `//host` in a redirection would lead to another site.
  if (!path.startsWith('/') || path.includes('//') || /%2f/i.test(path)) return undefined;
  const name = decode(path.slice(1));
  if (name === undefined) return undefined;
  const isDirectory = name === '' || name.endsWith('/');
  return {
    name: isDirectory ? `${name}${indexName}` : name,
    asDirectory: `${path}/${query < 0 ? '' : target.slice(query)}`,
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
