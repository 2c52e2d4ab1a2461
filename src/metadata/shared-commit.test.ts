import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { Kysely } from 'kysely';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSqlite, sqliteDialect } from './sqlite-dialect.ts';

interface Tables {
  counts: { id: number; n: number };
  rows: { id: number; text: string };
}

const folder = mkdtempSync(join(tmpdir(), 'fb-commit-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** A database, and another connection to its file, which sees what is committed. */
class Ground implements AsyncDisposable {
  readonly database: DatabaseSync;
  readonly db: Kysely<Tables>;
  readonly other: DatabaseSync;

  constructor() {
    files += 1;
    const path = join(folder, `${files}.db`);
    this.database = openSqlite(path);
    this.database.exec(
      'create table counts (id int primary key, n int); insert into counts values (1, 0); create table rows (id int primary key, text text)',
    );
    this.db = new Kysely<Tables>({ dialect: sqliteDialect(this.database) });
    this.other = new DatabaseSync(path);
  }

  seen(sql: string): unknown {
    return Object.values(this.other.prepare(sql).get() ?? {})[0];
  }

  increment(): Promise<number> {
    return this.db.transaction().execute(async (tx) => {
      const { n } = await tx.selectFrom('counts').select('n').executeTakeFirstOrThrow();
      await tx
        .updateTable('counts')
        .set({ n: n + 1 })
        .execute();
      return n + 1;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.other.close();
    await this.db.destroy();
  }
}

describe('transactions that come at once', () => {
  const run = vi.spyOn(StatementSync.prototype, 'run');
  beforeEach(() => void run.mockClear());
  const commits = (): number =>
    run.mock.contexts.filter((statement) => (statement as StatementSync).sourceSQL === 'commit')
      .length;

  it('share commits, one after the other, and are on disk when they are answered', async () => {
    await using ground = new Ground();
    await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        expect(await ground.increment()).toBe(index + 1);
        expect(ground.seen('select n from counts')).toBeGreaterThan(index);
      }),
    );
    expect(commits()).toBeLessThan(100);
  });

  it('fail alone', async () => {
    await using ground = new Ground();
    const answers = await Promise.allSettled(
      Array.from({ length: 100 }, (_, id) =>
        ground.db.transaction().execute(async (tx) => {
          await tx.insertInto('rows').values({ id, text: '' }).execute();
          if (id % 3 === 0) throw new Error('no');
          if (id % 3 === 1) await tx.insertInto('rows').values({ id, text: 'twice' }).execute();
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      answers.map((_, id) => (id % 3 === 2 ? 'fulfilled' : 'rejected')),
    );
    expect(ground.seen('select group_concat(id % 3) from rows')).toBe(
      Array.from({ length: 33 }, () => 2).join(','),
    );
  });

  it('and what is read between them show nothing that is not committed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('add', 'fail', 'read', 'write'), fc.boolean()), {
          maxLength: 60,
        }),
        async (steps) => {
          await using ground = new Ground();
          const add = (waits: boolean, fails: boolean): Promise<void> =>
            ground.db.transaction().execute(async (tx) => {
              await tx
                .updateTable('counts')
                .set((eb) => ({ n: eb('n', '+', 1) }))
                .execute();
              if (waits) await nextTurn();
              if (fails) throw new Error('no');
            });
          const perform = async (kind: string, waits: boolean): Promise<void> => {
            if (waits) await nextTurn();
            switch (kind) {
              case 'add':
                return add(waits, false);
              case 'fail':
                return await expect(add(waits, true)).rejects.toThrow('no');
              case 'write':
                await ground.db
                  .updateTable('counts')
                  .set((eb) => ({ n: eb('n', '+', 1) }))
                  .execute();
                return;
              default: {
                const { n } = await ground.db
                  .selectFrom('counts')
                  .select('n')
                  .executeTakeFirstOrThrow();
                expect(ground.seen('select n from counts')).toBeGreaterThanOrEqual(n);
              }
            }
          };
          await Promise.all(steps.map(([kind, waits]) => perform(kind, waits)));
          const done = steps.filter(([kind]) => kind === 'add' || kind === 'write');
          expect(ground.seen('select n from counts')).toBe(done.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('on a full disk: what is answered is there, the rest is not, and later ones go on', async () => {
    await using ground = new Ground();
    ground.database.exec('pragma max_page_count = 40');
    const write = async (id: number): Promise<void> => {
      await ground.db.transaction().execute(async (tx) => {
        await tx
          .insertInto('rows')
          .values({ id, text: 'x'.repeat(5000) })
          .execute();
        await tx
          .updateTable('counts')
          .set((eb) => ({ n: eb('n', '+', 1) }))
          .execute();
      });
    };
    const answers: PromiseSettledResult<void>[] = [];
    for (let round = 0; round < 10; round += 1)
      answers.push(
        ...(await Promise.allSettled(
          Array.from({ length: 4 }, (_, index) => write(round * 4 + index)),
        )),
      );
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map(({ reason }) => (reason as { code: string }).code))).toEqual(
      new Set(['metadata_full']),
    );
    const there = answers.flatMap(({ status }, id) => (status === 'fulfilled' ? [id] : []));
    expect(there.length).toBeGreaterThan(0);
    expect(ground.seen('select group_concat(id order by id) from rows')).toBe(there.join(','));
    expect(ground.seen('select n from counts')).toBe(there.length);
    ground.database.exec('pragma max_page_count = 1000');
    await write(1000);
    expect(ground.seen('select n from counts')).toBe(there.length + 1);
  });

  it('are all done before the database is closed', async () => {
    const ground = new Ground();
    const pending = Array.from({ length: 20 }, () => ground.increment());
    await ground.increment();
    const late = ground.increment();
    await Promise.all([ground[Symbol.asyncDispose](), late, ...pending]);
    const again = new DatabaseSync(join(folder, `${files}.db`));
    expect(again.prepare('select n from counts').get()).toEqual({ n: 22 });
    again.close();
  });
});
