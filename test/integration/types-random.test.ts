// Random values of every type, to DuckDB by snapshot and by stream, and back: the texts are the original's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { expect, test } from 'vitest';

import { runForebay } from '../support/process.ts';
import { type Random, seededRandom } from '../support/random.ts';
import { openReplication } from '../support/replication.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { expectDone, plainSession } from '../support/type-matrix.ts';

type Draw = (random: Random) => string;

const digits = (random: Random, count: number): string =>
  Array.from({ length: count }, () => String(random.below(10))).join('');

const integer =
  (bits: number): Draw =>
  (random) => {
    const size = 1 + random.below(bits);
    let value = 0n;
    for (let bit = 0; bit < size; bit += 1) value = value * 2n + BigInt(random.below(2));
    return BigInt.asIntN(bits, random.chance(50) ? value : -value).toString();
  };

const float =
  (bits: 32 | 64): Draw =>
  (random) => {
    const view = new DataView(new ArrayBuffer(8));
    for (let at = 0; at < 8; at += 1) view.setUint8(at, random.below(256));
    const near = (random.below(2_000_000) - 1_000_000) / 10 ** random.below(9);
    if (random.chance(40)) return String(near);
    const value = bits === 32 ? view.getFloat32(0) : view.getFloat64(0);
    const text = String(value);
    if (random.chance(20)) return integer(bits === 32 ? 48 : 64)(random);
    return random.chance(10) ? String(2 ** (random.below(250) - 125)) : text;
  };

/** `whole` digits before and `scale` after the point, at most. */
const decimal =
  (whole: number, scale: number): Draw =>
  (random) => {
    const before = digits(random, random.below(whole + 1)) || '0';
    const after = digits(random, random.below(scale + 1));
    return `${random.chance(50) ? '-' : ''}${before}${after === '' ? '' : `.${after}`}`;
  };

const CHARACTERS = Array.from(
  'abcXYZ019 \t\n\r\v\f"\'\\{},[]():;NULLnull%_-/' +
    '\u0001\u007f\u0080\u0085\u00a0\u00e9\u00ff\u0300\u1680\u2003\u2028\u3000\ufeff\ufffd\uffff😀🦆',
);

const text: Draw = (random) => {
  if (random.chance(5)) return random.pick(['', 'NULL', 'null', '\\N', '\\.', '{}', '"', ' ']);
  const length = random.below(random.chance(10) ? 3000 : 30);
  return Array.from({ length }, () => random.pick(CHARACTERS)).join('');
};

const hex = (random: Random, bytes: number): string =>
  Array.from({ length: bytes }, () => random.below(256).toString(16).padStart(2, '0')).join('');

const bytes: Draw = (random) => `\\x${hex(random, random.below(40))}`;

const uuid: Draw = (random) => hex(random, 16);

const two = (value: number): string => String(value).padStart(2, '0');

const time: Draw = (random) => {
  if (random.chance(3)) return '24:00:00';
  const fraction = random.chance(50) ? `.${digits(random, 1 + random.below(6))}` : '';
  return `${two(random.below(24))}:${two(random.below(60))}:${two(random.below(60))}${fraction}`;
};

const date =
  (last: number): Draw =>
  (random) => {
    if (random.chance(3)) return random.pick(['infinity', '-infinity']);
    const before = random.chance(20);
    const year = before
      ? 1 + random.below(4712)
      : 1 + random.below(random.chance(50) ? 2100 : last);
    const day = `${two(1 + random.below(12))}-${two(1 + random.below(28))}`;
    return `${String(year).padStart(4, '0')}-${day}${before ? ' BC' : ''}`;
  };

const timestamp: Draw = (random) => {
  const day = date(294_246)(random);
  if (day.endsWith('infinity')) return day;
  const [plain = '', era] = day.split(' ');
  const clock = time(random).replace('24:00:00', '00:00:00');
  return `${plain} ${clock}${era === undefined ? '' : ' BC'}`;
};

const interval: Draw = (random) => {
  const part = (limit: number): number => random.below(limit * 2) - limit;
  const small = random.chance(50);
  const months = part(small ? 30 : 2_000_000_000);
  const days = part(small ? 40 : 2_000_000_000);
  const micros = small ? part(100_000) : part(9_000_000_000_000_000);
  return `${months} months ${days} days ${micros} microseconds`;
};

const json: Draw = (random) => {
  const value = (depth: number): unknown => {
    const kind = random.below(depth > 2 ? 4 : 6);
    if (kind === 0) return random.pick([null, true, false]);
    if (kind === 1) return random.below(1_000_000) / 1000;
    if (kind < 4) return text(random);
    const items = Array.from({ length: random.below(4) }, () => value(depth + 1));
    return kind === 4 ? items : Object.fromEntries(items.map((item) => [text(random), item]));
  };
  return JSON.stringify(value(0));
};

const list =
  (element: Draw, dimensions = 1): Draw =>
  (random) => {
    const lengths = Array.from({ length: dimensions }, () => 1 + random.below(4));
    const level = (depth: number): string => {
      const items = Array.from({ length: lengths[depth] ?? 0 }, () => {
        if (depth < dimensions - 1) return level(depth + 1);
        if (random.chance(15)) return 'NULL';
        return `"${element(random).replaceAll(/["\\]/g, String.raw`\$&`)}"`;
      });
      return `{${items.join(',')}}`;
    };
    return random.chance(10) ? '{}' : level(0);
  };

const TYPES: readonly (readonly [string, Draw])[] = [
  ['boolean', (random) => random.pick(['t', 'f'])],
  ['int2', integer(16)],
  ['int4', integer(32)],
  ['int8', integer(64)],
  ['float4', float(32)],
  ['float8', float(64)],
  ['numeric(4,2)', decimal(2, 2)],
  ['numeric(9,9)', decimal(0, 9)],
  ['numeric(18,4)', decimal(14, 4)],
  ['numeric(38,10)', decimal(28, 10)],
  ['numeric(38,0)', decimal(38, 0)],
  ['numeric(3,6)', (random) => `0.000${digits(random, 3)}`],
  ['numeric', decimal(60, 40)],
  ['money', decimal(12, 2)],
  ['text', text],
  ['varchar(5000)', text],
  ['bytea', bytes],
  ['uuid', uuid],
  ['date', date(5_874_897)],
  ['time', time],
  ['timestamp', timestamp],
  ['timestamptz', timestamp],
  ['interval', interval],
  ['json', json],
  ['jsonb', json],
  ['int4[]', list(integer(32))],
  ['text[]', list(text)],
  ['float4[]', list(float(32))],
  ['float8[]', list(float(64))],
  ['numeric(20,5)[]', list(decimal(15, 5))],
  ['numeric[]', list(decimal(20, 20))],
  ['bytea[]', list(bytes)],
  ['uuid[]', list(uuid)],
  ['date[]', list(date(9999))],
  ['timestamp[]', list(timestamp)],
  ['timestamptz[]', list(timestamp)],
  ['interval[]', list(interval)],
  ['jsonb[]', list(json)],
  ['text[][]', list(text, 2)],
  ['int8[][][]', list(integer(64), 3)],
];

const ROWS = Number(env['RANDOM_ROWS'] ?? 150);

/** Types whose column becomes VARCHAR, and a value that makes it so. */
const WIDENED: readonly (readonly [string, Draw, string])[] = [
  ['numeric(18,4)', decimal(14, 4), 'NaN'],
  ['timestamp', timestamp, '294276-12-31 23:59:59'],
  ['timestamptz', timestamp, '294276-12-31 23:59:59+00'],
  ['interval', interval, 'infinity'],
  ['boolean[]', list((random) => random.pick(['t', 'f'])), '{{t},{f}}'],
  ['int4[]', list(integer(32)), '[0:1]={1,2}'],
  ['text[]', list(text), '{{a},{b}}'],
  ['float4[]', list(float(32)), '{{1},{2}}'],
  ['float8[]', list(float(64)), '{{1},{2}}'],
  ['numeric(20,5)[]', list(decimal(15, 5)), '{NaN}'],
  ['bytea[]', list(bytes), '{{a}}'],
  ['uuid[]', list(uuid), `{{${'0'.repeat(32)}}}`],
  ['date[]', list(date(9999)), '{{2020-01-01}}'],
  ['time[]', list(time), '{{12:00}}'],
  ['timestamp[]', list(timestamp), '{{2020-01-01}}'],
  ['timestamptz[]', list(timestamp), '{{2020-01-01}}'],
  ['interval[]', list(interval), '{{1 day}}'],
  ['text[][]', list(text, 2), '{a}'],
];

describeEachServer(
  'random values',
  (server) => {
    test('to DuckDB and back', { timeout: 300_000 }, async () => {
      const seed = Number(env['RANDOM_SEED'] ?? 20_260_101);
      const random = seededRandom(seed);
      const dir = mkdtempSync(join(tmpdir(), 'fb-random-'));
      await using replication = await openReplication(server);
      const names = TYPES.map((_, index) => `c${index}`);
      const fill = async (from: number): Promise<void> => {
        await using client = await server.connect(replication.source);
        await client.query(plainSession);
        const places = TYPES.map(([type], index) => `$${index + 2}::text::${type}`).join(', ');
        for (let id = from; id < from + ROWS; id += 1) {
          const values = TYPES.map(([, draw]) => (random.chance(5) ? null : draw(random)));
          await client.query(`insert into r values ($1, ${places})`, [id, ...values]);
        }
      };
      try {
        const columns = TYPES.map(([type], index) => `c${index} ${type}`).join(', ');
        await replication.sql(`create table r (id int primary key, ${columns})`);
        await fill(0);
        expectDone(await replication.run('duckdb'));
        await fill(ROWS);
        expectDone(await replication.run('duckdb'));
        const back = ['copy', `duckdb:${replication.file}`, server.url(replication.copy), '--json'];
        expectDone(await runForebay(back));
        for (const [index, name] of names.entries()) {
          const type = TYPES[index]?.[0] ?? '';
          const texts = async (database: string): Promise<unknown[]> => {
            await using client = await server.connect(database);
            await client.query(plainSession);
            const shown = type.startsWith('json') ? `${name}::jsonb::text` : `${name}::text`;
            const cast = type === 'jsonb[]' ? `${name}::text::jsonb[]::text` : shown;
            const sql = `select id, ${cast} as v from r order by id`;
            return (await client.query<{ v: string | null }>(sql)).rows;
          };
          expect
            .soft(await texts(replication.copy), `${type}, seed ${seed}`)
            .toEqual(await texts(replication.source));
        }
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });

    test('in columns that become VARCHAR', { timeout: 300_000 }, async () => {
      const seed = Number(env['RANDOM_SEED'] ?? 20_260_102);
      const random = seededRandom(seed);
      await using replication = await openReplication(server);
      await using client = await server.connect(replication.source);
      await client.query(plainSession);
      const columns = WIDENED.map(([type], index) => `c${index} ${type}`).join(', ');
      await client.query(`create table r (id int primary key, ${columns})`);
      const places = WIDENED.map(([type], index) => `$${index + 2}::text::${type}`).join(', ');
      const insert = async (id: number, values: readonly (string | null)[]): Promise<void> => {
        await client.query(`insert into r values ($1, ${places})`, [id, ...values]);
      };
      for (let id = 0; id < ROWS; id += 1) {
        await insert(
          id,
          WIDENED.map(([, draw]) => draw(random)),
        );
      }
      expectDone(await replication.run('duckdb'));
      await insert(
        ROWS,
        WIDENED.map(([, , misfit]) => misfit),
      );
      for (let id = ROWS + 1; id < 2 * ROWS; id += 1) {
        await insert(
          id,
          WIDENED.map(([, draw]) => draw(random)),
        );
      }
      expectDone(await replication.run('duckdb'));
      for (const [index, [type]] of WIDENED.entries()) {
        const { rows } = await client.query<{ v: string }>(
          `select c${index}::text as v from r order by id`,
        );
        const there = await replication.read(
          'duckdb',
          `select c${index} from public.r order by id`,
        );
        expect
          .soft(
            there.map(([value]) => value),
            `${type}, seed ${seed}`,
          )
          .toEqual(rows.map(({ v }) => v));
      }
    });
  },
  [17],
);
