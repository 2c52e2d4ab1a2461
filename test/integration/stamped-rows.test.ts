// Rows that are appended tell which execution brought them, and when; a killed run's rows are those of the run that ends it.
import { describe, expect, test } from 'vitest';

import { createLane } from '../support/lane-pipeline.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

describe.skipIf(server === null)('stamped rows', () => {
  if (server === null) return;
  for (const kind of ['postgres', 'duckdb'] as const) {
    test(`of each execution, in snapshot and changes (${kind})`, async () => {
      await using lane = await createLane(
        server,
        kind,
        "create table items (id int primary key, name text); insert into items values (1, 'a'), (2, 'b')",
      );
      const spec = (stamp: string) =>
        ({ load: 'append', targetNamespace: 'bronze', stamp }) as const;
      const before = new Date();
      await lane.caughtUp({ settings: null, spec: spec('first') });
      await lane.sql("update items set name = 'c' where id = 1; delete from items where id = 2");
      await lane.sql('create table later (id int primary key); insert into later values (7)');
      await lane.caughtUp({ settings: null, spec: spec('second') });
      const rows = await lane.read(
        `select cast(id as varchar), _forebay_op, _forebay_execution_id from bronze.items order by _forebay_position, id`,
      );
      expect(rows).toEqual([
        ['1', 'r', 'first'],
        ['2', 'r', 'first'],
        ['1', 'u', 'second'],
        ['2', 'd', 'second'],
      ]);
      const later = await lane.read('select _forebay_op, _forebay_execution_id from bronze.later');
      expect(later).toEqual([['r', 'second']]);
      const [[oldest = null, latest = null] = []] = await lane.read(
        `select cast(min(epoch) as varchar), cast(max(epoch) as varchar) from (
          select extract(epoch from _forebay_loaded_at) as epoch from bronze.items) t`,
      );
      const seconds = [oldest, latest].map(Number);
      for (const second of seconds) {
        expect(second).toBeGreaterThanOrEqual(Math.floor(before.getTime() / 1000));
        expect(second).toBeLessThanOrEqual(Date.now() / 1000);
      }
    });
  }
});
