import { realpathSync, readFileSync, statSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, dirname, posix, resolve, sep } from 'node:path';
import { ForebayError } from '../../core/errors.ts';

const MAX_BYTES = 1024 * 1024;
const EXTENSIONS = 'its name ends with none of .js, .mjs, .ts, .mts';
/** No path begins so. */
const REFUSED = '!';
const EXTENSION = /\.m?[jt]s$/;

/** The files a module may import: those of its own folder and below. Names are absolute within it. */
export class ModuleFiles {
  readonly #folder: string;
  readonly entry: string;

  constructor(path: string) {
    const file = resolve(path);
    if (!EXTENSION.test(file)) throw unreadable(path, EXTENSIONS);
    const folder = realpath(dirname(file));
    if (folder === null) throw unreadable(path, 'its folder does not exist');
    this.#folder = folder;
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
    const source = readFileSync(this.#pathOf(name), 'utf8');
    return /\.m?ts$/.test(name) ? stripTypeScriptTypes(source) : source;
  }

  #pathOf(name: string): string {
    const path = realpath(resolve(this.#folder, `.${name}`));
    if (path === null) throw new Error(`${name.slice(1)} does not exist`);
    if (!path.startsWith(this.#folder + (this.#folder.endsWith(sep) ? '' : sep))) {
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
