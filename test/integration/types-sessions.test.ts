// What a database's own settings and encoding do to values: nothing.
import { expect, test } from 'vitest';

import { destinationKinds, openReplication } from '../support/replication.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { casesFor } from '../support/type-cases.ts';
import {
  changeTables,
  duckdbContents,
  expectDone,
  expectedTexts,
  makeTables,
  postgresContent,
} from '../support/type-matrix.ts';

const ODD_SETTINGS: Readonly<Record<string, string>> = {
  timezone: 'America/St_Johns',
  datestyle: 'SQL, DMY',
  intervalstyle: 'sql_standard',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  xmlbinary: 'hex',
  xmloption: 'document',
  array_nulls: 'off',
  standard_conforming_strings: 'off',
  search_path: 'nowhere, public',
  default_transaction_isolation: 'serializable',
};

/** Cases whose text depends on a setting. */
const SENSITIVE =
  'xml int_array text_array float4 float8 float_array point bytea ' +
  'bytea_array text json date time timetz timestamp timestamptz ' +
  'timestamptz_zones timestamptz_far interval interval_array timestamptz_array date_array tsrange tstzrange ' +
  'daterange composite domain_nested enum';

async function setOddly(
  database: string,
  sql: (statement: string) => Promise<unknown>,
): Promise<void> {
  for (const [name, value] of Object.entries(ODD_SETTINGS)) {
    const list = value.includes(',') ? value : `'${value}'`;
    await sql(`alter database ${database} set ${name} = ${list}`);
  }
}

describeEachServer('sessions', (server) => {
  test('39 odd time zone, date style and other settings of both databases change no value', async () => {
    await using replication = await openReplication(server);
    const cases = casesFor(server.major, SENSITIVE.split(' '));
    await makeTables(server, replication.source, cases);
    for (const database of [replication.source, replication.copy]) {
      await setOddly(database, (statement) => server.query('postgres', statement));
    }
    for (const kind of destinationKinds) expectDone(await replication.run(kind));
    await changeTables(server, replication.source, cases);
    for (const kind of destinationKinds) expectDone(await replication.run(kind));

    const files = await duckdbContents(replication.file, cases);
    for (const item of cases) {
      const original = await postgresContent(server, replication.source, item);
      const copied = await postgresContent(server, replication.copy, item);
      expect(copied.texts, item.name).toEqual(original.texts);
      const texts = item.duckdb.texts ?? original.texts['in the snapshot'] ?? [];
      expect(files.get(item.name)?.texts, item.name).toEqual(expectedTexts(texts));
    }
  });

  test('39 one instant, written in many zones and across a change of clocks, is one instant', async () => {
    await using replication = await openReplication(server);
    const instants = `('2024-03-31 01:59:59.999999 Europe/Berlin'), ('2024-03-31 03:00:00 Europe/Berlin'),
      ('2024-11-03 01:30:00 EDT'), ('2024-11-03 01:30:00 EST'), ('1900-01-01 00:00:00 Europe/Amsterdam')`;
    await replication.sql(
      'create table t (id int generated always as identity primary key, at timestamptz)',
    );
    await replication.sql(`insert into t (at) values ${instants}`);
    for (const kind of destinationKinds) expectDone(await replication.run(kind));
    await replication.sql(`set timezone = 'Asia/Kathmandu'; insert into t (at) values ${instants}`);
    const micros =
      'select id::text, (extract(epoch from at) * 1000000)::bigint::text from t order by t.id';
    const expected = await replication.read('source', micros);
    for (const kind of destinationKinds) {
      expectDone(await replication.run(kind));
      const sql =
        kind === 'duckdb'
          ? 'select id::VARCHAR, epoch_us("at")::VARCHAR from public.t order by t.id'
          : micros;
      expect(await replication.read(kind, sql), kind).toEqual(expected);
    }
  });
});
