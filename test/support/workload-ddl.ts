// The part of the workload that changes tables: it keeps its own account of their columns, so that its
// statements follow from the seed alone.
import type { Random } from './random.ts';
import type { WorkloadStep } from './workload.ts';

interface GrowingTable {
  readonly name: string;
  readonly columns: { name: string; readonly kind: 'int' | 'text' }[];
}

const MAX_TABLES = 5;
const MAX_COLUMNS = 12;

export class WorkloadDdl {
  readonly #random: Random;
  readonly #destructive: boolean;
  readonly #tables: GrowingTable[] = [
    {
      name: 'evolving',
      columns: [
        { name: 'c0', kind: 'text' },
        { name: 'c1', kind: 'int' },
      ],
    },
  ];
  /** Names are never used twice, so that a kept column of the destination is never met again. */
  #names = 1;

  constructor(random: Random, destructive: boolean) {
    this.#random = random;
    this.#destructive = destructive;
  }

  next(): WorkloadStep {
    return { kind: 'ddl', statements: this.#statements() };
  }

  #statements(): string[] {
    const random = this.#random;
    const table = random.pick(this.#tables);
    const choice = random.below(10);
    if (!this.#destructive) {
      if (choice < 7 && table.columns.length < MAX_COLUMNS) return [this.#add(table)];
      return this.#tables.length < MAX_TABLES ? this.#create() : [];
    }
    if (choice < 5 && table.columns.length < MAX_COLUMNS) return [this.#add(table)];
    if (choice < 7) return [this.#rename(table)];
    if (choice < 8 && table.columns.length > 2) return [this.#drop(table)];
    if (this.#tables.length < MAX_TABLES) return this.#create();
    return [this.#rename(table)];
  }

  #freshName(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  #add(table: GrowingTable): string {
    const name = this.#freshName('c');
    const random = this.#random;
    const kind = random.pick(['int', 'text'] as const);
    const constant = kind === 'int' ? '7' : `'seven'`;
    const volatile = kind === 'int' ? '(random() * 1000)::int' : 'gen_random_uuid()::text';
    const rest = random.pick([
      '',
      ` default ${constant}`,
      ` default ${volatile}`,
      ` not null default ${constant}`,
    ]);
    table.columns.push({ name, kind });
    return `alter table ${table.name} add column if not exists ${name} ${kind}${rest}`;
  }

  #rename(table: GrowingTable): string {
    const column = this.#random.pick(table.columns);
    const from = column.name;
    column.name = this.#freshName('c');
    return `alter table ${table.name} rename column ${from} to ${column.name}`;
  }

  #drop(table: GrowingTable): string {
    const index = this.#random.below(table.columns.length);
    const [column] = table.columns.splice(index, 1);
    return `alter table ${table.name} drop column ${column?.name ?? ''}`;
  }

  #create(): string[] {
    const name = this.#freshName('extra_');
    this.#tables.push({
      name,
      columns: [
        { name: 'c0', kind: 'text' },
        { name: 'c1', kind: 'int' },
      ],
    });
    return [
      `create table if not exists ${name} (id int primary key, c0 text, c1 int)`,
      `insert into ${name} select i, 'row ' || i, i from generate_series(1, ${20 + this.#random.below(200)}) i on conflict do nothing`,
    ];
  }

  touch(): string[] {
    return this.#tables.flatMap(({ name }) => [
      `delete from ${name} where id = 1000`,
      `insert into ${name} (id) values (1000)`,
    ]);
  }

  /** Rows for one of the tables that change. */
  rows(): string[] {
    const random = this.#random;
    const table = random.pick(this.#tables);
    const id = 1 + random.below(60);
    const column = random.pick(table.columns);
    const value = (kind: 'int' | 'text') =>
      kind === 'int' ? String(random.below(1000)) : `'t${random.below(1000)}'`;
    if (random.chance(45)) {
      const names = table.columns.map(({ name }) => name).join(', ');
      const values = table.columns.map(({ kind }) => value(kind)).join(', ');
      return [
        `insert into ${table.name} (id, ${names}) values (${id}, ${values}) on conflict do nothing`,
      ];
    }
    if (random.chance(15)) return [`delete from ${table.name} where id = ${id}`];
    return [
      `update ${table.name} set ${column.name} = ${value(column.kind)} where id between ${id} and ${id + 5}`,
    ];
  }
}
