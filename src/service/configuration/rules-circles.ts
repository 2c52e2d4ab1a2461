/** No stream writes what it reads itself, alone or by way of others. Pure. */
import type { Outline, StreamOutline, SystemOutline } from './outline.ts';
import { listOf, textOf } from './outline.ts';
import type { Violation } from './problem.ts';
import { isGlob, overlap, readTables, type TableSet, writtenTables } from './tables.ts';

interface End {
  /** Servers with the database: equal for what is the same, whatever it is called. */
  readonly places: readonly string[];
  readonly tables: TableSet;
}

interface Flow {
  readonly stream: StreamOutline;
  readonly from: End;
  readonly to: End;
}

function placesOf({ connection, database, raw }: SystemOutline): readonly string[] {
  // The same reference leads to the same system, wherever that is.
  if (connection === null && raw !== null && database !== null) return [`${raw}/${database}`];
  if (connection?.kind !== 'read') return [];
  const name = database ?? connection.database;
  return name === null ? [] : connection.servers.map((server) => `${server}/${name}`);
}

function flowOf(stream: StreamOutline): Flow | null {
  const { source, destination } = stream;
  if (source.type === null || destination.type === null) return null;
  const side = (system: SystemOutline, type: NonNullable<SystemOutline['type']>) => ({
    type,
    database: system.database ?? '',
    table: system.table,
  });
  const from = side(source, source.type);
  const to = side(destination, destination.type);
  const exclude = listOf(source.options, 'exclude').filter((glob) => typeof glob === 'string');
  const schema = textOf(destination.options, 'schema');
  return {
    stream,
    from: { places: placesOf(source), tables: readTables(from, exclude) },
    to: { places: placesOf(destination), tables: writtenTables(from, to, schema) },
  };
}

function isIdentical({ from, to }: Flow): boolean {
  const isSamePlace = from.places.some((place) => to.places.includes(place));
  return isSamePlace && overlap(from.tables, to.tables);
}

/** Names are looked up and only globs compared one by one: a file may have thousands of streams. */
class Readers {
  readonly #named = new Map<string, Map<string, number[]>>();
  readonly #globs = new Map<string, number[]>();
  readonly #flows: readonly Flow[];

  constructor(flows: readonly Flow[]) {
    this.#flows = flows;
    for (const [index, { from }] of flows.entries()) {
      for (const place of from.places) this.#add(place, from.tables.glob, index);
    }
  }

  #add(place: string, glob: string, index: number): void {
    if (isGlob(glob)) {
      this.#globs.set(place, [...(this.#globs.get(place) ?? []), index]);
      return;
    }
    const names = this.#named.get(place) ?? new Map<string, number[]>();
    this.#named.set(place, names);
    names.set(glob, [...(names.get(glob) ?? []), index]);
  }

  /** Flows that read what this one writes. */
  of({ to }: Flow): readonly number[] {
    const { glob } = to.tables;
    const found = new Set<number>();
    for (const place of to.places) {
      const names = this.#named.get(place);
      const named = isGlob(glob) ? [...(names?.values() ?? [])].flat() : (names?.get(glob) ?? []);
      for (const index of [...named, ...(this.#globs.get(place) ?? [])]) {
        const reader = this.#flows[index];
        if (reader !== undefined && overlap(to.tables, reader.from.tables)) found.add(index);
      }
    }
    return [...found];
  }
}

/** The shortest way from `start` back to it; null if there is none. */
function circleFrom(start: number, next: readonly (readonly number[])[]): readonly number[] | null {
  const before = new Map<number, number>();
  let front = [start];
  while (front.length > 0) {
    const further: number[] = [];
    for (const node of front) {
      for (const reached of next[node] ?? []) {
        if (before.has(reached)) continue;
        before.set(reached, node);
        if (reached === start) return wayTo(start, before);
        further.push(reached);
      }
    }
    front = further;
  }
  return null;
}

function wayTo(start: number, before: ReadonlyMap<number, number>): readonly number[] {
  const way: number[] = [];
  let node = start;
  do {
    node = before.get(node) ?? start;
    way.unshift(node);
  } while (node !== start);
  return way;
}

/** Only what another one feeds and what feeds another one can be in a circle. */
function withoutEnds(next: readonly (readonly number[])[]): Set<number> {
  let left = new Set(next.keys());
  for (;;) {
    const fed = new Set([...left].flatMap((node) => next[node] ?? []));
    const kept = new Set(
      [...left].filter((node) => fed.has(node) && (next[node] ?? []).some((one) => left.has(one))),
    );
    if (kept.size === left.size) return kept;
    left = kept;
  }
}

function circles(flows: readonly Flow[]): readonly (readonly number[])[] {
  const readers = new Readers(flows);
  const next = flows.map((flow, index) => readers.of(flow).filter((reader) => reader !== index));
  const left = withoutEnds(next);
  const found: (readonly number[])[] = [];
  for (const node of left) {
    const circle = circleFrom(node, next);
    for (const member of circle ?? []) left.delete(member);
    if (circle !== null) found.push(circle);
  }
  return found;
}

const SHOWN_STREAMS = 12;

function circleViolation(circle: readonly number[], flows: readonly Flow[]): Violation {
  const last = flows[Math.max(...circle)];
  const name = (index: number): string => flows[index]?.stream.id ?? `streams[${index}]`;
  const [first = 0] = circle;
  const names = [...circle, first].map(name);
  const cut = names.length - SHOWN_STREAMS;
  const way = (
    cut > 0 ? [...names.slice(0, SHOWN_STREAMS - 1), `${cut} more`, ...names.slice(-1)] : names
  ).join(' -> ');
  return {
    path: [...(last?.stream.path ?? []), 'destination'],
    at: 'key',
    rule: 'no-circle',
    message: `these streams feed one another in a circle: ${way}`,
    fix: 'Let one of them write other tables, disable it, or exclude the tables that another one writes.',
  };
}

export function circleRules(outline: Outline): Violation[] {
  const flows = outline.streams.flatMap((stream) => flowOf(stream) ?? []);
  const identical = new Set(flows.filter(isIdentical));
  const others = flows.filter((flow) => flow.stream.enabled && !identical.has(flow));
  return [
    ...[...identical].map(({ stream }) => ({
      path: stream.destination.path,
      at: 'key' as const,
      rule: 'not-identical' as const,
      message: 'source and destination are the same tables',
      fix: 'Give another database, collection_table or write_options.schema; or exclude what the stream writes.',
    })),
    ...circles(others).map((circle) => circleViolation(circle, others)),
  ];
}
