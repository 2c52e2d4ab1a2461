import { KazaamFailure } from './failure.ts';
import { goText, isObject } from './go-values.ts';
import { type Moment, UTC } from './moment.ts';
import {
  type Apply,
  type CompileOperation,
  escapedText,
  failing,
  type Place,
} from './operation.ts';
import { elementsAt, slices } from './text.ts';
import { formatMoment } from './time-format.ts';
import { readLayout } from './time-layout.ts';
import { parseMoment } from './time-parse.ts';

type Convert = (given: string) => string;

function unixMoment(given: string): Moment {
  const fault = (why: string): KazaamFailure => {
    const message = `strconv.ParseInt: parsing ${JSON.stringify(given)}: ${why}`;
    return new KazaamFailure('raw', message);
  };
  if (!/^[+-]?\d+$/.test(given)) throw fault('invalid syntax');
  const unixSeconds = BigInt(given.replace(/^\+/, ''));
  if (BigInt.asIntN(64, unixSeconds) !== unixSeconds) throw fault('value out of range');
  return { unixSeconds, nanoseconds: 0, zone: UTC };
}

function now(): Moment {
  const ms = Date.now();
  const unixSeconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - unixSeconds * 1000) * 1_000_000;
  return { unixSeconds: BigInt(unixSeconds), nanoseconds, zone: UTC };
}

function reader(format: string): (given: string) => Moment {
  if (format === '$unix') return unixMoment;
  const layout = readLayout(format);
  return (given) => parseMoment(layout, given);
}

function writer(format: string, strict: boolean): (moment: Moment) => string {
  if (format === '$unix') return ({ unixSeconds }) => `"${unixSeconds}"`;
  const layout = readLayout(format);
  return (moment) => {
    const text = formatMoment(moment, layout);
    return `"${strict ? escapedText(text) : text}"`;
  };
}

function unquoted(json: string): string {
  return json.startsWith('"') ? json.slice(1, -1) : json;
}

interface Stamp {
  readonly key: string;
  readonly formats: unknown;
  readonly convert: Convert;
  readonly target: Place;
  readonly place: (path: string) => Place;
  readonly require: boolean;
  readonly strict: boolean;
}

/** Item by item, each under the key with its number for the star; a key without one ends as the last item. */
function stampArray(text: string, json: string, { key, convert, place, strict }: Stamp): string {
  const { spans, fault } = elementsAt(json, 0);
  if (fault !== null) throw new KazaamFailure('raw', fault);
  const items = slices(json, spans);
  if (strict && !key.includes('*')) {
    return place(key).set(text, `[${items.map((item) => convert(unquoted(item))).join(',')}]`);
  }
  return items.reduce(
    (out, item, at) => place(key.replaceAll('*', String(at))).set(out, convert(unquoted(item))),
    text,
  );
}

function stamp(text: string, one: Stamp): string {
  const json = one.target.get(text, one.require);
  if (json === 'null') return text;
  if (json.startsWith('"')) return one.target.set(text, one.convert(json.slice(1, -1)));
  if (json.startsWith('[')) return stampArray(text, json, one);
  const message = `Warn: Unknown type in message for key: ${goText(one.formats)}`;
  throw new KazaamFailure('parse', message);
}

export const timestamp: CompileOperation = ({ entries, require, strict, place }) => {
  const steps = Object.entries(entries).map(([key, formats]): Apply => {
    const fail = (message: string) => failing(() => new KazaamFailure('spec', message));
    const missing = (what: string) =>
      fail(`Warn: Invalid spec. Unable to get ${what} for key: ${key}`);
    if (!isObject(formats)) return missing('value');
    const { inputFormat, outputFormat } = formats;
    if (typeof inputFormat !== 'string') return missing('"inputFormat"');
    if (typeof outputFormat !== 'string') return missing('"outputFormat"');
    const write = writer(outputFormat, strict);
    const target = place(key);
    if (inputFormat === '$now') return (text) => target.set(text, write(now()));
    const read = reader(inputFormat);
    const convert: Convert = (given) => write(read(given));
    const one = { key, formats, convert, target, place, require, strict };
    return (text) => stamp(text, one);
  });
  return (text) => steps.reduce((out, step) => step(out), text);
};
