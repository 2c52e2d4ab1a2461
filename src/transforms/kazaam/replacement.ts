/** Regular expressions of the `regex` converter, written for Go, with Go's replacement templates. */
import { undefinedUpstream } from './failure.ts';
import { isObject } from './go-values.ts';

interface Replacement {
  readonly matches: (text: string) => boolean;
  readonly replace: (text: string) => string;
}

/** Flags for the whole expression and named groups are written differently in JavaScript. */
function compilePattern(source: string): RegExp {
  const [all = '', flags = ''] = /^\(\?([ims]+)\)/.exec(source) ?? [];
  const body = source.slice(all.length).replaceAll('(?P<', '(?<');
  try {
    return new RegExp(body, `g${flags}`);
  } catch {
    throw undefinedUpstream(`converter regex cannot read the expression ${source}`);
  }
}

/** `$1`, `${1}`, `$name` and `$$`; what names no group is empty. */
function expand(template: string, groups: readonly unknown[]): string {
  const named = groups.at(-1);
  return template.replaceAll(
    /\$(?:(\$)|\{(\w+)\}|(\w+))/g,
    (_, dollar: string | undefined, braced: string | undefined, bare: string | undefined) => {
      if (dollar !== undefined) return '$';
      const name = braced ?? bare ?? '';
      const group = /^\d+$/.test(name)
        ? groups.slice(
            0,
            groups.findIndex((one) => typeof one === 'number'),
          )[Number(name)]
        : isObject(named)
          ? named[name]
          : '';
      return typeof group === 'string' ? group : '';
    },
  );
}

function replacement(entry: unknown): Replacement {
  const { match, replace } = isObject(entry) ? entry : {};
  if (typeof match !== 'string' || typeof replace !== 'string') {
    throw undefinedUpstream('an expression of converter regex needs match and replace');
  }
  const pattern = compilePattern(match);
  return {
    matches: (text) => text.search(pattern) !== -1,
    replace: (text) => text.replaceAll(pattern, (...groups) => expand(replace, groups)),
  };
}

/** One expression or a list of which the first that matches counts. */
export function readRegexes(config: unknown, name: string): readonly Replacement[] {
  const entry = isObject(config) && Object.hasOwn(config, name) ? config[name] : undefined;
  if (entry === undefined) throw undefinedUpstream(`converter regex has no expression ${name}`);
  return (Array.isArray(entry) ? entry : [entry]).map(replacement);
}
