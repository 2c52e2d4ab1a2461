// A seeded mixed workload for a PostgreSQL source: the same seed gives the same statements in the same order,
// whatever the database answers.
import type pg from 'pg';

import { type Random, seededRandom } from './random.ts';
import { WorkloadDdl } from './workload-ddl.ts';
import { HardRows } from './workload-hard.ts';

/** Sent in one transaction, or each by itself (DDL that is better seen alone). */
export interface WorkloadStep {
  readonly kind: 'transaction' | 'ddl';
  readonly statements: readonly string[];
  /** The ledger's row that is there if and only if the transaction was committed. */
  readonly entry?: number;
}

export interface WorkloadOptions {
  /**
   * additive: columns added, also with defaults, and new tables; all: also columns renamed and dropped, which a
   * reader that lags may be unable to tell apart, so that it pauses the stream.
   */
  readonly ddl?: 'none' | 'additive' | 'all';
  /** Highest key of the keyed tables: small makes conflicts, large makes rows. */
  readonly keys?: number;
  /** Also what `HARD_TABLES` are for. */
  readonly hard?: boolean;
  /** The ledger's ids begin after this: each writer has its own. */
  readonly ledgerFrom?: number;
}

const WIDE_COLUMNS = 60;
const ACCOUNTS = 8;
/** The sum over all accounts, in every transaction's end. */
export const BANK_TOTAL = ACCOUNTS * 1000;

const wideColumns = Array.from({ length: WIDE_COLUMNS }, (_, i) =>
  i % 3 === 0 ? `c${i} int` : i % 3 === 1 ? `c${i} text` : `c${i} numeric`,
).join(', ');

export const WORKLOAD_TABLES = `
create table keyed (id int primary key, name text, amount numeric(12,2), flag boolean, at timestamptz, doc jsonb);
create table pair (a int, b text, qty bigint, note text, primary key (a, b));
create table toasted (id int primary key, small int, body text, other text);
alter table toasted alter body set storage external, alter other set storage external;
create table bare (kind int, note text);
alter table bare replica identity full;
create table bank (id int primary key, balance int not null);
create table wide (id int primary key, ${wideColumns});
create table scratch (id int primary key, v text);
create table scratch_part (id int primary key, scratch_id int references scratch, v text);
create table evolving (id int primary key, c0 text, c1 int);
create table ledger (id bigint primary key, who text, at timestamptz default clock_timestamp());
insert into bank select i, 1000 from generate_series(1, ${ACCOUNTS}) i;
insert into keyed select i, 'name ' || i, i * 1.25, i % 2 = 0, '2026-01-01'::timestamptz + i * interval '1 min', jsonb_build_object('n', i)
  from generate_series(1, 40) i;
insert into pair select i % 7, 'b' || i, i, null from generate_series(1, 30) i;
insert into toasted select i, i, repeat('body ' || i, 600), repeat('other ' || i, 600) from generate_series(1, 10) i;
insert into bare select i % 4, 'note ' || i % 3 from generate_series(1, 20) i;
insert into evolving select i, 'first ' || i, i from generate_series(1, 15) i;
insert into wide (id, c0, c1, c2) select i, i, 'wide ' || i, i / 3.0 from generate_series(1, 10) i;
`;

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export class Workload {
  readonly seed: number;
  readonly #random: Random;
  readonly #keys: number;
  readonly #ddl: WorkloadDdl | null;
  readonly #hard: HardRows | null;
  readonly #ledgerFrom: number;
  #steps = 0;
  #ledger = 0;

  constructor(seed: number, options: WorkloadOptions = {}) {
    this.seed = seed;
    this.#random = seededRandom(seed);
    this.#keys = options.keys ?? 80;
    this.#ledgerFrom = options.ledgerFrom ?? 0;
    this.#hard = options.hard === true ? new HardRows(this.#random, this.#ledgerFrom) : null;
    const ddl = options.ddl ?? 'none';
    this.#ddl = ddl === 'none' ? null : new WorkloadDdl(this.#random, ddl === 'all');
  }

  /** Ledger rows that were written by all steps so far, each with an id of its own from 1 on. */
  get ledgerRows(): number {
    return this.#ledger;
  }

  next(): WorkloadStep {
    this.#steps += 1;
    if (this.#ddl !== null && this.#random.chance(8)) return this.#ddl.next();
    const random = this.#random;
    const statements: string[] = [];
    const parts = 1 + random.below(4);
    for (let i = 0; i < parts; i += 1) statements.push(...this.#part());
    if (random.chance(25)) statements.push(...this.#rolledBack());
    this.#ledger += 1;
    const entry = this.#ledgerFrom + this.#ledger;
    statements.push(`insert into ledger (id, who) values (${entry}, 'step ${this.#steps}')`);
    return { kind: 'transaction', statements, entry };
  }

  /**
   * A row for every table whose columns change: a server tells of a changed table only with its next row, so
   * before contents are compared each must have one.
   */
  touch(): WorkloadStep {
    return { kind: 'transaction', statements: this.#ddl?.touch() ?? [] };
  }

  /** Everything in it is undone: none of it may be seen at a destination. */
  #rolledBack(): string[] {
    return [
      'savepoint undone',
      `insert into ledger (id, who) values (${-this.#steps}, 'undone')`,
      ...this.#part(),
      `insert into bare values (-1, 'undone')`,
      'rollback to savepoint undone',
    ];
  }

  #part(): readonly string[] {
    const random = this.#random;
    if (this.#hard !== null && random.chance(45)) return this.#hard.part();
    const choice = random.below(this.#ddl === null ? 17 : 20);
    if (choice < 4) return [this.#keyed()];
    if (choice < 6) return [this.#pair()];
    if (choice < 9) return [this.#toasted()];
    if (choice < 11) return [this.#bare()];
    if (choice < 13) return this.#transfer();
    if (choice < 15) return [this.#wide()];
    if (choice < 17) return this.#scratch();
    return this.#ddl?.rows() ?? [];
  }

  #key(): number {
    return 1 + this.#random.below(this.#keys);
  }

  #keyed(): string {
    const random = this.#random;
    const id = this.#key();
    const other = this.#key();
    switch (random.below(6)) {
      case 0:
      case 1:
        return `insert into keyed values (${id}, ${quote(`it's ${random.below(1000)} ✓`)}, ${random.below(100_000) / 100}, ${random.chance(50)},
          '2026-02-01'::timestamptz + ${random.below(100_000)} * interval '1 ms', '{"a": [1, ${random.below(9)}], "b": null}')
          on conflict (id) do update set name = excluded.name || '!', amount = null`;
      case 2:
        return `update keyed set amount = amount + 1, flag = not flag, doc = null where id = ${id}`;
      case 3:
        return `delete from keyed where id = ${id}`;
      case 4:
        return `update keyed set id = ${other} where id = ${id} and not exists (select from keyed where id = ${other})`;
      default:
        return `update keyed set name = left(name, 20) || 'x' where id between ${id} and ${id + 12}`;
    }
  }

  #pair(): string {
    const random = this.#random;
    const a = random.below(7);
    const b = quote(`b${random.below(40)}`);
    switch (random.below(4)) {
      case 0:
        return `insert into pair values (${a}, ${b}, ${random.below(1_000_000)}, 'new') on conflict do nothing`;
      case 1:
        return `update pair set qty = qty * 2 % 1000003, note = null where a = ${a}`;
      case 2:
        return `delete from pair where b = ${b}`;
      default:
        return `update pair p set a = ${a} where b = ${b} and not exists (select from pair where a = ${a} and b = ${b})
          and p.a = (select min(a) from pair where b = ${b})`;
    }
  }

  /** Values large enough to be stored out of line, and updates that leave one or both alone. */
  #toasted(): string {
    const random = this.#random;
    const id = 1 + random.below(14);
    const text = `repeat('t${random.below(1000)} ', ${500 + random.below(700)})`;
    switch (random.below(6)) {
      case 0:
        return `insert into toasted values (${id}, 0, ${text}, ${text}) on conflict (id) do update set body = excluded.body`;
      case 1:
        return `update toasted set small = small + 1 where id between ${id} and ${id + 3}`;
      case 2:
        return `update toasted set other = ${text} where id = ${id}`;
      case 3:
        return `update toasted set id = ${id + 20}, small = 9 where id = ${id} and not exists (select from toasted where id = ${id + 20})`;
      case 4:
        return `update toasted set body = null where id = ${id}`;
      default:
        return `delete from toasted where id in (${id}, ${id + 20})`;
    }
  }

  /** No key, so that equal rows exist and are told apart by nothing. */
  #bare(): string {
    const random = this.#random;
    const kind = random.below(4);
    const note = random.chance(20) ? 'null' : quote(`note ${random.below(3)}`);
    switch (random.below(4)) {
      case 0:
      case 1:
        return `insert into bare values (${kind}, ${note}), (${kind}, ${note})`;
      case 2:
        return `update bare set kind = (kind + 1) % 4 where ctid = (select min(ctid) from bare where kind = ${kind})`;
      default:
        return `delete from bare where ctid = (select min(ctid) from bare where kind = ${kind})`;
    }
  }

  #transfer(): string[] {
    const random = this.#random;
    const from = 1 + random.below(ACCOUNTS);
    const to = 1 + random.below(ACCOUNTS);
    const amount = random.below(50);
    return [
      `update bank set balance = balance - ${amount} where id = ${from}`,
      `update bank set balance = balance + ${amount} where id = ${to}`,
    ];
  }

  #wide(): string {
    const random = this.#random;
    const id = 1 + random.below(20);
    const column = random.below(WIDE_COLUMNS);
    const value =
      column % 3 === 0
        ? String(random.below(1000))
        : column % 3 === 1
          ? quote(`w${random.below(99)}`)
          : `${random.below(999)}.5`;
    if (random.chance(40))
      return `insert into wide (id, c${column}) values (${id}, ${value}) on conflict do nothing`;
    if (random.chance(15)) return `delete from wide where id = ${id}`;
    return `update wide set c${column} = ${value} where id = ${id}`;
  }

  #scratch(): string[] {
    const random = this.#random;
    if (random.chance(10)) return ['truncate scratch cascade'];
    if (random.chance(5)) return ['truncate scratch_part, bare'];
    const id = random.below(30);
    return [
      `insert into scratch values (${id}, 'v${random.below(100)}') on conflict (id) do update set v = excluded.v`,
      `insert into scratch_part values (${random.below(60)}, ${id}, 'p') on conflict do nothing`,
    ];
  }
}

/** Performs one step. */
export async function perform(client: pg.Client, step: WorkloadStep): Promise<void> {
  if (step.kind === 'ddl') {
    for (const statement of step.statements) await client.query(statement);
    return;
  }
  await client.query(['begin', ...step.statements, 'commit'].join(';\n'));
}

export async function performMany(
  client: pg.Client,
  workload: Workload,
  steps: number,
): Promise<void> {
  for (let i = 0; i < steps; i += 1) await perform(client, workload.next());
}
