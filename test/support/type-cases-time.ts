import { asText, literals, type TypeCase } from './type-case.ts';

const timestamps = [
  '2024-02-29 12:34:56.123456',
  '1999-12-31 23:59:59.999999',
  '1969-12-31 23:59:59.999999',
  '4714-11-24 00:00:00 BC',
  '0001-12-31 23:59:59.000001 BC',
  '12345-06-07 08:09:10',
  'infinity',
  '-infinity',
];

const duckTimestamps = (suffix: string): string[] => [
  `2024-02-29 12:34:56.123456${suffix}`,
  `1999-12-31 23:59:59.999999${suffix}`,
  `1969-12-31 23:59:59.999999${suffix}`,
  `4714-11-24 (BC) 00:00:00${suffix}`,
  `0001-12-31 (BC) 23:59:59.000001${suffix}`,
  `12345-06-07 08:09:10${suffix}`,
  'infinity',
  '-infinity',
];

export const timeCases: readonly TypeCase[] = [
  {
    name: 'date',
    type: 'date',
    values: literals(
      '2024-02-29',
      '4714-11-24 BC',
      '0001-01-01 BC',
      '5874897-12-31',
      'infinity',
      '-infinity',
    ),
    duckdb: {
      type: 'DATE',
      texts: [
        '2024-02-29',
        '4714-11-24 (BC)',
        '0001-01-01 (BC)',
        '5874897-12-31',
        'infinity',
        '-infinity',
      ],
    },
  },
  {
    name: 'time',
    type: 'time',
    values: literals('00:00:00', '23:59:59.999999', '24:00:00', '12:00:00.000001', '23:59:60'),
    duckdb: { type: 'TIME' },
  },
  {
    name: 'timetz',
    type: 'timetz',
    values: literals(
      '00:00:00+00',
      '24:00:00-15:59:59',
      '23:59:59.999999+15:59:59',
      '12:00:00+05:30',
    ),
    duckdb: asText,
  },
  {
    name: 'timestamp',
    type: 'timestamp',
    values: literals(...timestamps),
    duckdb: { type: 'TIMESTAMP', texts: duckTimestamps('') },
  },
  {
    name: 'timestamp_seconds',
    type: 'timestamp(0)',
    values: literals('2024-02-29 12:34:56.5', '2024-12-31 23:59:60'),
    duckdb: { type: 'TIMESTAMP' },
  },
  {
    name: 'timestamp_far',
    type: 'timestamp',
    values: literals(
      '294276-12-31 23:59:59.999999',
      '2024-02-29 12:34:56.1',
      '0044-03-15 00:00:00 BC',
      'infinity',
    ),
    duckdb: asText,
  },
  {
    name: 'timestamptz',
    type: 'timestamptz',
    values: literals(
      ...timestamps.map((text) =>
        text.includes('infinity') ? text : text.replace(/( BC)?$/, '+00$1'),
      ),
    ),
    duckdb: { type: 'TIMESTAMP WITH TIME ZONE', texts: duckTimestamps('+00') },
  },
  {
    name: 'timestamptz_zones',
    type: 'timestamptz',
    values: [
      "'2024-03-31 01:59:59.999999 Europe/Berlin'",
      "'2024-03-31 03:00:00 Europe/Berlin'",
      "'2024-10-27 02:30:00+02'",
      "'2024-10-27 02:30:00+01'",
      "'2024-12-31 23:59:60+00'",
    ],
    duckdb: {
      type: 'TIMESTAMP WITH TIME ZONE',
      texts: [
        '2024-03-31 00:59:59.999999+00',
        '2024-03-31 01:00:00+00',
        '2024-10-27 00:30:00+00',
        '2024-10-27 01:30:00+00',
        '2025-01-01 00:00:00+00',
      ],
    },
  },
  {
    name: 'timestamptz_far',
    type: 'timestamptz',
    values: literals('294276-12-31 23:59:59.999999+00', '2024-02-29 12:34:56.1+00', '-infinity'),
    duckdb: asText,
  },
  {
    name: 'interval',
    type: 'interval',
    values: literals(
      '1 year 2 mons -3 days 04:05:06.789',
      '-1 mons +5 days -00:00:00.000001',
      '0',
      '178956970 years 7 mons',
      '-178956970 years -8 mons',
      '2147483647 days',
      '2562047788:00:54.775807',
      '100:00:00',
    ),
    duckdb: {
      type: 'INTERVAL',
      texts: [
        '1 year 2 months -3 days 04:05:06.789',
        '-1 month 5 days -00:00:00.000001',
        '00:00:00',
        '178956970 years 7 months',
        '-178956970 years -8 months',
        '2147483647 days',
        '2562047788:00:54.775807',
        '100:00:00',
      ],
    },
  },
  {
    name: 'interval_days',
    type: 'interval day to second(3)',
    values: literals('3 days 04:05:06.7891'),
    duckdb: { type: 'INTERVAL', texts: ['3 days 04:05:06.789'] },
  },
  {
    name: 'interval_infinity',
    type: 'interval',
    since: 17,
    values: literals('infinity', '-infinity', '1 day'),
    duckdb: asText,
  },
  {
    name: 'timestamptz_array',
    type: 'timestamptz[]',
    values: literals('{"2024-02-29 12:00:00.000001+00",NULL,infinity,-infinity}', '{}'),
    duckdb: {
      type: 'TIMESTAMP WITH TIME ZONE[]',
      texts: ["['2024-02-29 12:00:00.000001+00', NULL, infinity, -infinity]", '[]'],
    },
  },
  {
    name: 'date_array',
    type: 'date[]',
    values: literals('{2024-02-29,NULL,infinity}'),
    duckdb: { type: 'DATE[]', texts: ['[2024-02-29, NULL, infinity]'] },
  },
  {
    name: 'interval_array',
    type: 'interval[]',
    values: literals('{"1 mon -2 days",NULL}'),
    duckdb: { type: 'INTERVAL[]', texts: ['[1 month -2 days, NULL]'] },
  },
];
