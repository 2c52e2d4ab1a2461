// The part of the workload that replication gets wrong most easily: values that pass from row to row, keys that
// change together with values left out of line, rows that move between partitions, large transactions, wide types.
import type { Random } from './random.ts';

const SEATS = 24;
const BULK_ROWS = 100_000;
const SMALL_BULK_ROWS = 3000;

const EXTERNAL = (table: string, columns: readonly string[]): string =>
  columns.map((column) => `alter table ${table} alter ${column} set storage external;`).join(' ');

export const HARD_TABLES = `
create table seats (id int primary key, seat int unique deferrable initially deferred, code text unique, note text);
insert into seats select i, i, 'code ' || i, null from generate_series(1, ${SEATS}) i;
create table moved (id int primary key, n int, body text, tail text);
${EXTERNAL('moved', ['body', 'tail'])}
insert into moved select i, 0, repeat('body ' || i, 700), null from generate_series(1, 12) i;
create table large_bare (kind int, body text, note text);
${EXTERNAL('large_bare', ['body'])}
alter table large_bare replica identity full;
insert into large_bare select i % 3, repeat('large ' || i % 2, 600), 'n' from generate_series(1, 9) i;
create table by_index (a int not null, b text not null, c text, d int);
create unique index by_index_key on by_index (b, a);
alter table by_index replica identity using index by_index_key;
create table full_keyed (id int primary key, body text, n int);
${EXTERNAL('full_keyed', ['body'])}
alter table full_keyed replica identity full;
insert into full_keyed select i, repeat('full ' || i, 700), i from generate_series(1, 10) i;
create table parts (id int, day int, v text, body text, primary key (id, day)) partition by range (day);
create table parts_0 partition of parts for values from (0) to (10);
create table parts_1 partition of parts for values from (10) to (20) partition by range (day);
create table parts_1_0 partition of parts_1 for values from (10) to (15);
create table parts_1_1 partition of parts_1 for values from (15) to (20);
create table parts_rest partition of parts default;
insert into parts select i, i % 25, 'v' || i, repeat('p' || i, 900) from generate_series(1, 50) i;
create type mood as enum ('calm', 'keen', 'it''s');
create table kinds (id bigint primary key, u uuid, b bytea, s smallint, f real, g double precision, n numeric, m numeric(20, 6),
  d date, t time, ts timestamp, tz timestamptz, j jsonb, a int[], w text[], e mood, bo boolean, c varchar(6), i interval);
create table bulk (id int primary key, v text, n int);
insert into bulk select i, 'row ' || i, i from generate_series(1, 20000) i;
create table nothing_in_it (id int primary key, v text);
`;

/** Types that the server sends only as text. */
export const TEXT_TABLE = `
create table texts (id int primary key, net macaddr, span int4range, bits bit varying(9));
insert into texts select i, '08:00:2b:01:02:03', int4range(i, i + 5), b'101' from generate_series(1, 20) i;
`;

/** The user's own table, whose constraints are checked at once. */
export const UNIQUE_SEATS =
  'create table seats (id int primary key, seat int unique, code text unique, note text)';

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export class HardRows {
  readonly #random: Random;
  /** Keys that no other writer takes. */
  #fresh: number;

  constructor(random: Random, from: number) {
    this.#random = random;
    this.#fresh = 1_000_000 + from;
  }

  /** Statements that go together inside a transaction. */
  part(): readonly string[] {
    const random = this.#random;
    switch (random.below(9)) {
      case 0:
        return this.#seats();
      case 1:
        return this.#moved();
      case 2:
        return this.#largeBare();
      case 3:
        return this.#byIndex();
      case 4:
        return this.#fullKeyed();
      case 5:
      case 6:
        return this.#parts();
      case 7:
        return this.#kinds();
      default:
        return this.#bulk();
    }
  }

  /** Unique values that pass from one row to another, and keys that are exchanged. */
  #seats(): string[] {
    const random = this.#random;
    const a = 1 + random.below(SEATS);
    const b = 1 + ((a + random.below(SEATS - 1)) % SEATS);
    switch (random.below(5)) {
      case 0:
        return [
          `update seats set seat = case id when ${a} then (select seat from seats where id = ${b}) else (select seat from seats where id = ${a}) end where id in (${a}, ${b})`,
        ];
      case 1:
        return [
          `update seats set code = 'was gold ' || ${this.#next()} where code = 'gold'`,
          `update seats set code = 'gold' where id = ${a}`,
        ];
      case 2:
        return [
          `update seats set id = -1 where id = ${a}`,
          `update seats set id = ${a} where id = ${b}`,
          `update seats set id = ${b} where id = -1`,
        ];
      case 3:
        return [
          `delete from seats where id = ${a}`,
          `update seats set note = 'n${random.below(9)}'`,
          `insert into seats values (${a}, ${a + 1000 + this.#next()}, 'code ' || ${this.#next()}, 'again') on conflict (id) do nothing`,
        ];
      default:
        return [`update seats set note = ${quote(`it's ${random.below(99)}`)} where id >= ${a}`];
    }
  }

  /** An insert, an update that leaves the large value alone and a new key, all in one transaction. */
  #moved(): string[] {
    const random = this.#random;
    const id = 1 + random.below(20);
    const to = 100 + this.#next();
    const text = `repeat(${quote(`m${random.below(99)} `)}, ${600 + random.below(600)})`;
    switch (random.below(6)) {
      case 0:
        return [
          `insert into moved values (${to}, 0, ${text}, ${text})`,
          `update moved set n = n + 1 where id = ${to}`,
          `update moved set id = ${-to} where id = ${to}`,
          `update moved set n = n + 1, tail = null where id = ${-to}`,
          `delete from moved where id in (select id from moved where id < -1000 order by id limit 1)`,
        ];
      case 1:
        return [
          `update moved set n = n + 1 where id = ${id}`,
          `update moved set id = ${to} where id = ${id}`,
          `update moved set tail = ${text} where id = ${to}`,
          `update moved set id = ${id} where id = ${to}`,
        ];
      case 2:
        return [`insert into moved values (${id}, 1, ${text}, null) on conflict do nothing`];
      case 3:
        return [
          `delete from moved where id = ${id}`,
          `insert into moved values (${id}, 2, ${text}, ${text})`,
          `update moved set n = 3 where id = ${id}`,
        ];
      case 4:
        return [`update moved set body = ${text} where id between ${id} and ${id + 2}`];
      default:
        return [`update moved set n = n + 1`];
    }
  }

  #largeBare(): string[] {
    const random = this.#random;
    const kind = random.below(3);
    const body = `repeat('large ${random.below(2)}', 600)`;
    return random.pick([
      [`insert into large_bare values (${kind}, ${body}, 'n'), (${kind}, ${body}, 'n')`],
      [
        `update large_bare set note = case when note = 'n' then 'm' else 'n' end where ctid = (select min(ctid) from large_bare where kind = ${kind})`,
      ],
      [`update large_bare set kind = kind where kind = ${kind}`],
      [
        `delete from large_bare where ctid = any (array(select ctid from large_bare where kind = ${kind} limit 2))`,
      ],
    ]);
  }

  #byIndex(): string[] {
    const random = this.#random;
    const a = random.below(9);
    const b = quote(`b${random.below(9)}`);
    return random.pick([
      [`insert into by_index values (${a}, ${b}, 'c', ${a}) on conflict do nothing`],
      [`update by_index set c = 'c${random.below(99)}' where a = ${a}`],
      [
        `update by_index set a = a + 100 where a = ${a}`,
        `update by_index set a = a - 100 where a >= 100`,
      ],
      [`delete from by_index where b = ${b}`],
    ]);
  }

  #fullKeyed(): string[] {
    const random = this.#random;
    const id = 1 + random.below(12);
    const to = 1000 + this.#next();
    return random.pick([
      [`update full_keyed set n = n + 1 where id >= ${id}`],
      [
        `update full_keyed set id = ${to} where id = ${id}`,
        `update full_keyed set n = 0, id = ${id} where id = ${to}`,
      ],
      [
        `insert into full_keyed values (${id}, repeat('f${random.below(99)}', 1500), 1) on conflict (id) do update set n = 2`,
      ],
      [`delete from full_keyed where id = ${id}`],
    ]);
  }

  /** Rows that move between partitions are a delete and an insert. */
  #parts(): string[] {
    const random = this.#random;
    const id = 1 + random.below(60);
    const day = random.below(30);
    return random.pick([
      [
        `insert into parts values (${id}, ${day}, 'new', repeat('q', ${random.below(3000)})) on conflict do nothing`,
      ],
      [
        `update parts set day = ${day} where id = ${id} and not exists (select from parts where id = ${id} and day = ${day})
          and day = (select min(day) from parts where id = ${id})`,
      ],
      [`update parts set v = v || '.' where day = ${day} and length(v) < 40`],
      [`delete from parts where id = ${id}`],
      random.chance(10) ? [`truncate parts`] : [`update parts set v = 'short' where id < ${id}`],
    ]);
  }

  #kinds(): string[] {
    const random = this.#random;
    const id = random.pick(['1', '2', '3', '9223372036854775807', '-9223372036854775808', '4']);
    const n = random.pick(['1e-20', '123456789012345678901234567890.0001', '0', '-0.10', '7.000']);
    const f = random.pick([`'NaN'`, `'-Infinity'`, '1.5e-30', '0.1', '-0.0::float8', '3.4e38']);
    const ts = random.pick([
      `'infinity'`,
      `'-infinity'`,
      `'0044-03-15 12:00:00 BC'`,
      `'1999-12-31 23:59:59.999999'`,
      `'2026-03-29 02:30:00'`,
    ]);
    const text = quote(random.pick(['', ' ', 'Ω≈ç', '\\N', 'tab\tnew\nline', `"'`, '😀', 'null']));
    const row = `${id}, md5('${random.below(99)}')::uuid, decode(md5('${random.below(9)}') || '00ff', 'hex'), ${random.below(65_536) - 32_768}, ${f}, ${f}, ${n}, 12.5,
      '2024-02-29', '23:59:59.999999', ${ts}, ${ts}, jsonb_build_object('k', ${text}::text, 'n', ${n}), array[1, null, -5], array[${text}, null],
      'it''s', null, 'ab', '3 days'`;
    return random.pick([
      [
        `insert into kinds values (${row}) on conflict (id) do update set (n, ts, w) = (excluded.n, excluded.ts, excluded.w)`,
      ],
      [
        `update kinds set w = array[${text}], f = ${f}, e = 'calm', c = ${quote('x')} where id = ${id}`,
      ],
      [`update kinds set j = null, b = '', tz = ${ts} where id > 0`],
      [`delete from kinds where id = ${id}`],
    ]);
  }

  /** Now and then a hundred thousand rows at once. */
  #bulk(): string[] {
    const random = this.#random;
    const rows = random.chance(4) ? BULK_ROWS : SMALL_BULK_ROWS;
    const from = 20_000 + random.below(5) * 1000;
    return random.pick([
      [
        `insert into bulk select i, 'bulk ${random.below(9)}', i from generate_series(${from}, ${from + rows - 1}) i on conflict (id) do update set n = bulk.n + 1`,
      ],
      [`update bulk set n = n + 1 where id between ${from} and ${from + rows}`],
      [`delete from bulk where id > ${from}`],
      [
        'truncate nothing_in_it, bulk',
        `insert into bulk select i, 'anew', i from generate_series(1, 500) i`,
      ],
    ]);
  }

  #next(): number {
    this.#fresh += 1;
    return this.#fresh;
  }
}
