/** `${env:NAME}` and `${file:path}` inside texts. Pure: variables and files come from the surroundings. */
import { nearest } from '../../connectors/nearest.ts';

export type FileText = { readonly text: string } | { readonly reason: string };

/** What lies around a configuration file. Relative paths start at its folder. */
export interface Surroundings {
  /** Absolute. */
  readonly folder: string;
  readonly variable: (name: string) => string | undefined;
  readonly file: (path: string) => FileText;
}

export interface Reference {
  readonly kind: 'env' | 'file';
  /** Name of the variable or path of the file. */
  readonly target: string;
}

type Part = { readonly kind: 'text'; readonly text: string } | Reference;

export interface ReferenceFlaw {
  readonly message: string;
  readonly fix: string;
}

export interface Template {
  readonly parts: readonly Part[];
  readonly flaws: readonly ReferenceFlaw[];
}

/** Specifications have texts of their own in `${...}`: there only the two known kinds are references. */
export type Strictness = 'all' | 'known-kinds';

const FORM = /\$\$\{|\$\{([^}]*)(\}?)/g;
const KNOWN = /^(?:env|file):/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const WRITE = 'Write ${env:NAME} or ${file:path}; for the text itself, double the dollar sign: $${';

function flawOf(inner: string, isClosed: boolean): string | null {
  if (!isClosed) return 'the reference has no closing brace';
  const [, kind = '', target = ''] = /^([A-Za-z]*):(.*)$/s.exec(inner) ?? [];
  if (kind === 'env') {
    return VARIABLE.test(target) ? null : 'the reference names no environment variable';
  }
  if (kind === 'file') return target.trim() === '' ? 'the reference names no file' : null;
  const meant = kind === '' ? null : nearest(kind, ['env', 'file']);
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  return kind === '' ? 'a reference needs a kind' : `no reference is of the kind ${kind}${hint}`;
}

/** Cuts a text into what stands there and what it refers to. */
export function parseTemplate(text: string, strictness: Strictness): Template {
  const parts: Part[] = [];
  const flaws: ReferenceFlaw[] = [];
  let end = 0;
  const literal = (upTo: number, more = ''): void => {
    const piece = text.slice(end, upTo) + more;
    if (piece !== '') parts.push({ kind: 'text', text: piece });
  };
  for (const match of text.matchAll(FORM)) {
    const [whole, inner, brace] = match;
    const isEscape = inner === undefined;
    const follows = isEscape ? text.slice(match.index + whole.length) : inner;
    if (strictness === 'known-kinds' && !KNOWN.test(follows)) continue;
    literal(match.index, isEscape ? '${' : '');
    end = match.index + whole.length;
    if (isEscape) continue;
    const flaw = flawOf(inner, brace === '}');
    const [kind = '', ...rest] = inner.split(':');
    const target = rest.join(':').trim();
    if (flaw !== null) flaws.push({ message: flaw, fix: WRITE });
    else parts.push({ kind: kind === 'file' ? 'file' : 'env', target });
  }
  literal(text.length);
  return { parts, flaws };
}

export function printReference({ kind, target }: Reference): string {
  return `${kind}:${target}`;
}

export type Lookup =
  | { readonly value: string; readonly flaw: null }
  | { readonly value: null; readonly flaw: ReferenceFlaw };

function missing(message: string, fix: string): Lookup {
  return { value: null, flaw: { message, fix } };
}

/** The value of one reference, without the line break that files and variables often end with. */
export function lookUp(reference: Reference, surroundings: Surroundings): Lookup {
  const { kind, target } = reference;
  if (kind === 'env') {
    const value = surroundings.variable(target)?.replace(/(?:\r?\n)+$/, '');
    if (value !== undefined && value !== '') return { value, flaw: null };
    const state = value === undefined ? 'not set' : 'empty';
    return missing(
      `the environment variable ${target} is ${state}`,
      `Set it before the start: export ${target}=...`,
    );
  }
  const file = surroundings.file(target);
  if ('reason' in file) {
    return missing(
      `the file ${target} cannot be read: ${file.reason}`,
      'Correct the path (relative ones start at the folder of this file) or make the file readable.',
    );
  }
  const value = file.text.replace(/(?:\r?\n)+$/, '');
  if (value !== '') return { value, flaw: null };
  return missing(`the file ${target} is empty`, 'Write the value into it.');
}

/** The text with every reference filled in, or all that keeps it from that. */
export function fillTemplate(
  template: Template,
  look: (reference: Reference) => Lookup,
): { readonly text: string | null; readonly flaws: readonly ReferenceFlaw[] } {
  const flaws: ReferenceFlaw[] = [];
  let text = '';
  for (const part of template.parts) {
    if (part.kind === 'text') {
      text += part.text;
      continue;
    }
    const { value, flaw } = look(part);
    if (flaw === null) text += value;
    else flaws.push(flaw);
  }
  return flaws.length === 0 ? { text, flaws } : { text: null, flaws };
}
