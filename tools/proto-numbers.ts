// Field numbers that were given out, as the .proto files of the last time hold them. A number that was once given to
// a field is that field's for ever: programs that were built with it read by number.
import protobuf from 'protobufjs';

export interface KnownField {
  readonly number: number;
  readonly type: string;
  readonly repeated: boolean;
}

export interface KnownMessage {
  readonly fields: ReadonlyMap<string, KnownField>;
  readonly reservedNumbers: readonly number[];
  readonly reservedNames: readonly string[];
}

export interface WantedField {
  readonly name: string;
  readonly type: string;
  readonly repeated: boolean;
}

export interface Numbered {
  /** By name. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly reservedNumbers: readonly number[];
  readonly reservedNames: readonly string[];
}

/** Protobuf's own. */
const FIRST_OF_PROTOBUF = 19_000;
const LAST_OF_PROTOBUF = 19_999;

function knownMessage(type: protobuf.Type): KnownMessage {
  const reserved = type.reserved ?? [];
  return {
    fields: new Map(
      type.fieldsArray.map(({ name, id, type: of, repeated }) => [
        name,
        { number: id, type: of.replace(/^\./, ''), repeated },
      ]),
    ),
    reservedNumbers: reserved.flatMap((one) => {
      if (typeof one === 'string') return [];
      const [first = 0, last = first] = one;
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    }),
    reservedNames: reserved.filter((one) => typeof one === 'string'),
  };
}

/** By the names of messages. */
export function readKnown(texts: Iterable<string>): Map<string, KnownMessage> {
  const known = new Map<string, KnownMessage>();
  for (const text of texts) {
    const { root, package: name = '' } = protobuf.parse(text, new protobuf.Root(), {
      keepCase: true,
    });
    const namespace = name === '' ? root : root.lookup(name);
    if (!(namespace instanceof protobuf.Namespace)) continue;
    for (const one of namespace.nestedArray) {
      if (one instanceof protobuf.Type) known.set(one.name, knownMessage(one));
    }
  }
  return known;
}

const NEW: KnownMessage = { fields: new Map(), reservedNumbers: [], reservedNames: [] };

function next(taken: ReadonlySet<number>): number {
  const number = Math.max(0, ...taken) + 1;
  return number >= FIRST_OF_PROTOBUF && number <= LAST_OF_PROTOBUF ? LAST_OF_PROTOBUF + 1 : number;
}

/** Fails where a field would have another type under its old number, or a name that was given up comes back. */
export function numbersFor(
  message: string,
  wanted: readonly WantedField[],
  known: KnownMessage = NEW,
): Numbered {
  const taken = new Set([
    ...known.reservedNumbers,
    ...[...known.fields.values()].map(({ number }) => number),
  ]);
  const numbers = new Map<string, number>();
  for (const { name, type, repeated } of wanted) {
    const before = known.fields.get(name);
    if (before !== undefined && (before.type !== type || before.repeated !== repeated)) {
      throw new Error(
        `${message}.${name} was ${before.repeated ? 'repeated ' : ''}${before.type} and would be ${repeated ? 'repeated ' : ''}${type}: give it another name, or take its line out of the .proto file if no release has had it`,
      );
    }
    if (before === undefined && known.reservedNames.includes(name)) {
      throw new Error(`${message}.${name} is reserved: there was such a field, give another name`);
    }
    const number = before?.number ?? next(taken);
    taken.add(number);
    numbers.set(name, number);
  }
  const gone = [...known.fields].filter(([name]) => !numbers.has(name));
  return {
    numbers,
    reservedNumbers: [...known.reservedNumbers, ...gone.map(([, { number }]) => number)].toSorted(
      (a, b) => a - b,
    ),
    reservedNames: [...known.reservedNames, ...gone.map(([name]) => name)].toSorted(),
  };
}
