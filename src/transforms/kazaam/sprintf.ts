/** fmt.Sprintf for one value: the verbs that texts, numbers and truth values have. */
import type { Scalar } from './scalar.ts';

const DIRECTIVE = /%([-+ 0#]*)(\d*)(?:\.(\d*))?([a-zA-Z%])/g;

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | null;
  readonly verb: string;
}

/** Half to even where the digits cannot say more, as Go rounds; toFixed takes the larger. */
export function fixed(value: number, digits: number): string {
  const scaled = value * 10 ** digits;
  const isTie = Math.abs(scaled % 1) === 0.5 && Number.isSafeInteger(Math.trunc(scaled));
  return (isTie ? (2 * Math.round(scaled / 2)) / 10 ** digits : value).toFixed(digits);
}

function exponential(value: number, digits: number): string {
  return value.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** %g with so many digits; without a number of them, the shortest text that reads back as the value. */
export function general(value: number, digits: number | null): string {
  const exponent = value === 0 ? 0 : Number(value.toExponential((digits ?? 17) - 1).split('e')[1]);
  if (exponent < -4 || exponent >= (digits ?? 21)) {
    const [mantissa = '', power = ''] = value
      .toExponential(digits === null ? undefined : digits - 1)
      .split('e');
    const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
    return `${short}e${power.replace(/^([+-])(\d)$/, '$10$2')}`;
  }
  return digits === null ? String(value) : String(Number(value.toPrecision(digits)));
}

function typeName({ kind }: Scalar): string {
  const names = {
    null: '<nil>',
    text: 'string',
    truth: 'bool',
    whole: 'int64',
    decimal: 'float64',
  };
  return names[kind];
}

function plain(value: Scalar): string {
  if (value.kind === 'null') return '<nil>';
  return value.kind === 'decimal' ? general(value.value, null) : String(value.value);
}

function wrong(value: Scalar, verb: string): string {
  if (value.kind === 'null') return `%!${verb}(<nil>)`;
  return `%!${verb}(${typeName(value)}=${plain(value)})`;
}

function signed(text: string, flags: string): string {
  if (text.startsWith('-')) return text;
  if (flags.includes('+')) return `+${text}`;
  return flags.includes(' ') ? ` ${text}` : text;
}

function wholeText(value: bigint, { flags, verb }: Directive): string | null {
  const bases: Readonly<Record<string, number>> = { d: 10, v: 10, x: 16, X: 16, o: 8, b: 2 };
  const base = bases[verb];
  if (base === undefined) return null;
  const text = value.toString(base);
  return signed(verb === 'X' ? text.toUpperCase() : text, flags);
}

function decimalText(value: number, { flags, verb, precision }: Directive): string | null {
  switch (verb) {
    case 'f':
    case 'F':
      return signed(fixed(value, precision ?? 6), flags);
    case 'e':
      return signed(exponential(value, precision ?? 6), flags);
    case 'g':
    case 'v':
      return signed(general(value, precision), flags);
    default:
      return null;
  }
}

function textText(value: string, { verb, precision }: Directive): string | null {
  const cut = precision === null ? value : Array.from(value).slice(0, precision).join('');
  if (verb === 's' || verb === 'v') return cut;
  if (verb === 'q') return JSON.stringify(cut);
  const hex = Buffer.from(cut).toString('hex');
  return verb === 'x' ? hex : verb === 'X' ? hex.toUpperCase() : null;
}

function scalarText(value: Scalar, directive: Directive): string | null {
  const { verb } = directive;
  switch (value.kind) {
    case 'null':
      return verb === 'v' ? '<nil>' : null;
    case 'truth':
      return verb === 't' || verb === 'v' ? String(value.value) : null;
    case 'text':
      return textText(value.value, directive);
    case 'whole':
      return wholeText(value.value, directive);
    case 'decimal':
      return decimalText(value.value, directive);
  }
}

function padded(text: string, { flags, width }: Directive, isNumber: boolean): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0') || !isNumber) return text.padStart(width);
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

function readDirective([, flags = '', width = '', precision, verb = '']: string[]): Directive {
  return {
    flags,
    width: Number(width),
    precision: precision === undefined ? null : Number(precision),
    verb,
  };
}

export function sprintf(format: string, value: Scalar): string {
  let used = false;
  let out = '';
  let at = 0;
  for (const found of format.matchAll(DIRECTIVE)) {
    out += format.slice(at, found.index);
    at = found.index + found[0].length;
    const directive = readDirective(found);
    const { verb } = directive;
    if (verb === '%') out += '%';
    else if (used) out += `%!${verb}(MISSING)`;
    else {
      used = true;
      const text = scalarText(value, directive) ?? wrong(value, verb);
      out += padded(text, directive, value.kind === 'whole' || value.kind === 'decimal');
    }
  }
  out += format.slice(at);
  return used ? out : `${out}%!(EXTRA ${typeName(value)}=${plain(value)})`;
}
