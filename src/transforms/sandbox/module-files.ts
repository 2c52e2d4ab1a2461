import { realpathSync, readFileSync, statSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, dirname, posix, resolve, sep } from 'node:path';
import { ForebayError } from '../../core/errors.ts';

const MAX_BYTES = 1024 * 1024;
const EXTENSIONS = 'its name ends with none of .js, .mjs, .ts, .mts';
/** No path begins so. */
const REFUSED = '!';
const EXTENSION = /\.m?[jt]s$/;

/** JavaScript by absolute path. */
export type ModuleSources = Map<string, string>;

/** The files a module may import: those of its own folder and below. Names are absolute within it. */
export class ModuleFiles {
  readonly #folder: string;
  readonly #sources: ModuleSources;
  readonly entry: string;

  /** `sources`: what was read before counts, so that a module stays what it was while files are edited. */
  constructor(path: string, sources: ModuleSources) {
    const file = resolve(path);
    if (!EXTENSION.test(file)) throw unreadable(path, EXTENSIONS);
    this.#folder = dirname(file);
    this.#sources = sources;
    this.entry = `/${basename(file)}`;
  }

  /** The name of an imported file, or that of a refusal. */
  resolve(importer: string, requested: string): string {
    const refused = (why: string) => `${REFUSED}${requested} cannot be imported: ${why}`;
    if (!/^\.\.?\//.test(requested)) return refused("only files of the module's own folder can be");
    const name = posix.join(posix.dirname(importer).slice(1), requested);
    if (name.startsWith('../') || name === '..')
      return refused("it is outside the module's folder");
    return EXTENSION.test(name) ? `/${name}` : refused(EXTENSIONS);
  }

  /** The JavaScript of a file; types are stripped as Node does it. */
  read(name: string): string {
    if (name.startsWith(REFUSED)) throw new Error(name.slice(REFUSED.length));
    const key = this.#folder + name;
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const text = readFileSync(this.#pathOf(name), 'utf8');
    const source = /\.m?ts$/.test(name) ? stripTypeScriptTypes(text) : text;
    this.#sources.set(key, source);
    return source;
  }

  #pathOf(name: string): string {
    const folder = realpath(this.#folder);
    const path = realpath(resolve(this.#folder, `.${name}`));
    if (folder === null || path === null) throw new Error(`${name.slice(1)} does not exist`);
    if (!path.startsWith(folder + (folder.endsWith(sep) ? '' : sep))) {
      throw new Error(`${name.slice(1)} is a link to outside the module's folder`);
    }
    if (statSync(path).size > MAX_BYTES) throw new Error(`${name.slice(1)} is larger than 1 MiB`);
    return path;
  }
}

export function unreadable(path: string, why: string): ForebayError {
  return new ForebayError('transform_specification', {
    message: `The module ${path} cannot be loaded`,
    why,
  });
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function realpath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
