/** The 22 converters of the extended dialect: one value, as JSON, into another. */
import { undefinedUpstream } from './failure.ts';
import { isObject, quoted } from './go-values.ts';
import { readRegexes } from './replacement.ts';
import { converterFailure, type NumberScalar, readNumber, readScalar } from './scalar.ts';
import { fixed, general, sprintf } from './sprintf.ts';
import { elementsAt, slices } from './text.ts';

export type Convert = (json: string) => string;

/** What a specification says of converters under `converters`. */
export interface ConverterConfig {
  readonly mapped: unknown;
  readonly regex: unknown;
}

interface Call {
  readonly name: string;
  readonly args: string;
  readonly strict: boolean;
  readonly config: ConverterConfig;
}

/** Null stays null in every converter that wants a value. */
function ofText({ name }: Call, change: (text: string) => string): Convert {
  return (json) => {
    const value = readScalar(json);
    if (value?.kind === 'null') return json;
    if (value?.kind !== 'text') throw converterFailure(name, 'the value must be a string');
    return change(value.value);
  };
}

function ofNumber({ name }: Call, change: (value: NumberScalar) => string): Convert {
  return (json) => {
    const value = readScalar(json);
    if (value?.kind === 'null') return json;
    if (value?.kind !== 'whole' && value?.kind !== 'decimal') {
      throw converterFailure(name, 'the value must be a number');
    }
    return change(value);
  };
}

function numberArgument({ name, args }: Call): NumberScalar {
  const number = readNumber(args.startsWith('.') ? `0${args}` : args);
  if (number === null) throw undefinedUpstream(`converter ${name} needs a number`);
  return number;
}

type Arithmetic = '+' | '*' | '/';

function exact(left: bigint, operator: Arithmetic, right: bigint): bigint | null {
  if (operator === '+') return left + right;
  if (operator === '*') return left * right;
  return left % right === 0n ? left / right : null;
}

function inexact(left: number, operator: Arithmetic, right: number): number {
  if (operator === '+') return left + right;
  return operator === '*' ? left * right : left / right;
}

/** Whole numbers stay exact; the fork shows others with six digits. */
function arithmetic(operator: Arithmetic): (call: Call) => Convert {
  return (call) => {
    const right = numberArgument(call);
    if (operator === '/' && Number(right.value) === 0) {
      throw undefinedUpstream('converter div divides by zero');
    }
    return ofNumber(call, (left) => {
      const whole =
        left.kind === 'whole' && right.kind === 'whole'
          ? exact(left.value, operator, right.value)
          : null;
      if (whole !== null) return String(whole);
      const result = inexact(Number(left.value), operator, Number(right.value));
      if (!Number.isFinite(result)) throw converterFailure(call.name, 'the result is too large');
      return general(result, call.strict ? null : 6);
    });
  };
}

function rounding(round: (value: number) => number): (call: Call) => Convert {
  return (call) =>
    ofNumber(call, (value) => {
      if (value.kind === 'whole') return value.lexeme;
      return String(BigInt(round(value.value)));
    });
}

function float(call: Call): Convert {
  const digits = numberArgument(call);
  if (digits.kind !== 'whole' || digits.value > 100n) {
    throw undefinedUpstream('converter float needs a whole number up to 100');
  }
  const count = Number(digits.value);
  return ofNumber(call, ({ value }) => {
    const number = Number(value);
    if (count < 0) return String(number);
    return Math.abs(number) < 1e21 ? fixed(number, count) : `${BigInt(number)}`;
  });
}

/** A separator keeps the blanks before it; those behind it would have to be escaped. */
function separator({ name, args }: Call): string {
  if (args === '') throw undefinedUpstream(`converter ${name} needs a separator`);
  return args.trimEnd() === '' ? args.charAt(0) : args.trimEnd();
}

function join(call: Call): Convert {
  const between = separator(call);
  return (json) => {
    if (json === 'null') return json;
    const items = json.startsWith('[') ? slices(json, elementsAt(json, 0).spans) : [];
    const texts = items.map((item) => readScalar(item));
    if (!json.startsWith('[') || texts.some((item) => item?.kind !== 'text')) {
      throw converterFailure('join', 'the value must be an array of strings');
    }
    return quoted(texts.map((item) => (item?.kind === 'text' ? item.value : '')).join(between));
  };
}

function splitn(call: Call): Convert {
  const found = /^(.+?)\s*(\d+)\s*$/s.exec(call.args);
  const [, between = '', nth = '0'] = found ?? [];
  if (found === null || Number(nth) < 1) {
    throw undefinedUpstream('converter splitn needs a separator and a number from 1');
  }
  return ofText(call, (text) => {
    const piece = text.split(between)[Number(nth) - 1];
    return piece === undefined ? 'null' : quoted(piece);
  });
}

function substr(call: Call): Convert {
  const found = /^\s*(\d+)(?:\s+(\d+))?\s*$/.exec(call.args);
  if (found === null) throw undefinedUpstream('converter substr needs a start and may have an end');
  const start = Number(found[1]);
  return ofText(call, (text) => {
    const characters = Array.from(text);
    const end = found[2] === undefined ? characters.length : Number(found[2]);
    if (start > end || end > characters.length) {
      throw converterFailure('substr', `the value has no characters ${start} to ${end}`);
    }
    return quoted(characters.slice(start, end).join(''));
  });
}

function length(call: Call): Convert {
  const ofString = ofText(call, (text) => String(Array.from(text).length));
  return (json) =>
    json.startsWith('[') ? String(elementsAt(json, 0).spans.length / 2) : ofString(json);
}

/** Letter by letter, so that none becomes two. */
function cased(change: (letter: string) => string): (call: Call) => Convert {
  return (call) =>
    ofText(call, (text) => {
      const letters = Array.from(text, (letter) => {
        const changed = change(letter);
        return Array.from(changed).length === 1 ? changed : letter;
      });
      return quoted(letters.join(''));
    });
}

function mapped(call: Call): Convert {
  const groups = isObject(call.config.mapped) ? call.config.mapped : {};
  const group = groups[call.args];
  return ofText(call, (text) => {
    const to = isObject(group) && Object.hasOwn(group, text) ? group[text] : text;
    return quoted(typeof to === 'string' ? to : text);
  });
}

function regex(call: Call): Convert {
  const replacements = readRegexes(call.config.regex, call.args);
  return ofText(call, (text) => {
    const first = replacements.find(({ matches }) => matches(text));
    return quoted(first === undefined ? text : first.replace(text));
  });
}

function format({ args }: Call): Convert {
  return (json) => {
    const value = readScalar(json);
    if (value === null) throw converterFailure('format', 'the value must be no list and no object');
    return quoted(sprintf(args, value));
  };
}

function toNumber(call: Call): Convert {
  return (json) => {
    const value = readScalar(json);
    if (value?.kind === 'null' || value?.kind === 'whole' || value?.kind === 'decimal') return json;
    const number = value?.kind === 'text' ? readNumber(value.value) : null;
    if (number === null) throw converterFailure(call.name, 'the value is no number');
    return number.lexeme;
  };
}

function toText(call: Call): Convert {
  return (json) => {
    const value = readScalar(json);
    if (value?.kind === 'null' || value?.kind === 'text') return json;
    if (value?.kind === 'whole' || value?.kind === 'decimal') return `"${value.lexeme}"`;
    throw converterFailure(call.name, 'the value must be a number');
  };
}

/** Away from zero at the half, other than Math.round. */
const roundHalfAway = (value: number): number => Math.sign(value) * Math.round(Math.abs(value));

const CONVERTERS: Readonly<Record<string, (call: Call) => Convert>> = {
  add: arithmetic('+'),
  ceil: rounding(Math.ceil),
  div: arithmetic('/'),
  eqs:
    ({ args }) =>
    (json) =>
      String(json === args),
  float,
  floor: rounding(Math.floor),
  format,
  join,
  len: length,
  lower: cased((letter) => letter.toLowerCase()),
  mapped,
  mul: arithmetic('*'),
  not: () => (json) => String(json === 'false'),
  ntos: toText,
  regex,
  round: rounding(roundHalfAway),
  split: (call) => {
    const between = separator(call);
    return ofText(call, (text) => `[${text.split(between).map(quoted).join(',')}]`);
  },
  splitn,
  ston: toNumber,
  substr,
  trim: (call) => ofText(call, (text) => quoted(text.replaceAll(/^[ \t]+|[ \t]+$/g, ''))),
  upper: cased((letter) => letter.toUpperCase()),
};

export function converter(call: Call): Convert {
  const make = Object.hasOwn(CONVERTERS, call.name) ? CONVERTERS[call.name] : undefined;
  if (make === undefined) throw undefinedUpstream(`there is no converter ${call.name}`);
  return make(call);
}
