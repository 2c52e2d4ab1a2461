/** Works on the demo's shop while it is replicated, as an application would. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PgConnection } from '../../connectors/postgres/connection.ts';
import { formatCount, formatDuration } from '../format.ts';
import type { ShopSize } from './shop.ts';

export interface WriterPlan {
  readonly durationMs: number;
  readonly size: ShopSize;
  readonly signal: AbortSignal;
}

/** Filled while the writer works; the view reads it. */
export interface WriterReport {
  transactions: number;
  rows: number;
  keyChanges: number;
  schemaChange: string | null;
  longTransaction: {
    readonly beganAt: number;
    readonly rows: number;
    readonly endedAt: number | null;
  } | null;
}

export const EMPTY_REPORT: WriterReport = {
  transactions: 0,
  rows: 0,
  keyChanges: 0,
  schemaChange: null,
  longTransaction: null,
};

export const SCHEMA_CHANGE =
  'ALTER TABLE public.customers ADD COLUMN newsletter boolean NOT NULL DEFAULT false';

const PAUSE_MS = 15;
/** Parts of the whole time. */
const SCHEMA_CHANGE_AT = 0.4;
const LONG_TRANSACTION = { from: 0.2, to: 0.7 } as const;
const SHIFTED_LINE = 1000;
const SHIFTED_CUSTOMER = 1_000_000_000;

function upTo(count: number): number {
  return 1 + Math.floor(Math.random() * count);
}

function placeOrder(size: ShopSize): readonly string[] {
  const lines = upTo(5);
  const product = upTo(size.products);
  return [
    `with o as (
       insert into public.orders (customer_id, status, total, note)
       values (${upTo(size.customers)}, 'new', ${upTo(90_000) / 100}, 'placed while you watch') returning id)
     insert into public.order_items (order_id, line, product_id, quantity, unit_price)
     select o.id, l, 1 + (${product} + l) % ${size.products}, l, ${upTo(5000) / 10} from o, generate_series(1, ${lines}) l`,
    `update public.products set stock = stock - 1 where id between ${product} and ${product + lines}`,
    `update public.customers set points = points + 1 where id = ${upTo(size.customers)}`,
  ];
}

function cancelOrder(size: ShopSize): readonly string[] {
  const order = upTo(size.orders);
  return [
    `delete from public.order_items where order_id = ${order}`,
    `delete from public.orders where id = ${order}`,
  ];
}

function shipOrders(size: ShopSize): readonly string[] {
  const first = upTo(size.orders);
  const range = `between ${first} and ${first + 14}`;
  return [
    `update public.orders set status = 'shipped', note = null where id ${range}`,
    `update public.order_items set discount = coalesce(discount, 0) + 0.05 where order_id ${range}`,
  ];
}

/** Descriptions are long and stay as they are, so the source does not send them. */
function reprice(size: ShopSize): readonly string[] {
  const first = upTo(size.products);
  const range = `between ${first} and ${first + 24}`;
  return [
    `update public.products set price = least(round(price * 1.03, 2), 90000) where id ${range}`,
    `update public.products set attributes = attributes || '{"sale": true}' where id = ${first}`,
    `update public.products set description = description || ' Now better.' where id = ${upTo(size.products)}`,
  ];
}

function changeKeys(size: ShopSize): readonly string[] {
  return [
    `update public.order_items set line = line + ${SHIFTED_LINE}
     where order_id = ${upTo(size.orders)} and line < ${SHIFTED_LINE}`,
    `update public.customers set id = id + ${SHIFTED_CUSTOMER}
     where id = ${upTo(size.customers)} and id < ${SHIFTED_CUSTOMER}`,
  ];
}

function changeSamples(size: ShopSize): readonly string[] {
  return [
    `update public.type_samples set a_boolean = not a_boolean, a_jsonb = jsonb_build_object('seen', ${upTo(100)}),
       some_texts = some_texts || array['more'], a_timestamptz = now(), a_numeric = a_numeric / 3
     where id = ${4 + upTo(size.samples - 4)}`,
    `update public.type_samples set an_integer = 0 where id = ${upTo(4)}`,
  ];
}

type Work = readonly [weight: number, make: (size: ShopSize) => readonly string[]];

const WORK: readonly Work[] = [
  [5, placeOrder],
  [2, shipOrders],
  [2, reprice],
  [1, cancelOrder],
  [1, changeKeys],
  [1, changeSamples],
];

function pickWork(): (size: ShopSize) => readonly string[] {
  let at = Math.random() * WORK.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, make] of WORK) {
    at -= weight;
    if (at < 0) return make;
  }
  return placeOrder;
}

async function performTransaction(
  connection: PgConnection,
  statements: readonly string[],
): Promise<number> {
  let rows = 0;
  await connection.execute('begin');
  for (const statement of statements) rows += (await connection.simple(statement)).rowCount;
  await connection.execute('commit');
  return rows;
}

function signUp(): readonly string[] {
  return [
    `insert into public.customers (name, email, country, newsletter)
     values ('Newcomer', 'newcomer@example.com', 'NL', true)`,
  ];
}

async function work(
  connection: PgConnection,
  plan: WriterPlan,
  report: WriterReport,
): Promise<void> {
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  while (elapsed() < plan.durationMs && !plan.signal.aborted) {
    if (report.schemaChange === null && elapsed() > plan.durationMs * SCHEMA_CHANGE_AT) {
      await connection.execute(SCHEMA_CHANGE);
      report.schemaChange = SCHEMA_CHANGE;
    }
    const isSignUp = report.schemaChange !== null && Math.random() < 0.1;
    const make = isSignUp ? signUp : pickWork();
    const rows = await performTransaction(connection, make(plan.size));
    report.transactions += 1;
    report.rows += rows;
    if (make === changeKeys) report.keyChanges += rows;
    await delay(PAUSE_MS);
  }
}

/** Stays open over many commits of the other connection, and arrives as one at its own commit. */
async function workLong(
  connection: PgConnection,
  plan: WriterPlan,
  report: WriterReport,
): Promise<void> {
  await delay(plan.durationMs * LONG_TRANSACTION.from, undefined, { signal: plan.signal }).catch(
    () => {},
  );
  if (plan.signal.aborted) return;
  const beganAt = performance.now();
  const openMs = plan.durationMs * (LONG_TRANSACTION.to - LONG_TRANSACTION.from);
  let rows = 0;
  await connection.execute('begin');
  do {
    const { rowCount } = await connection.simple(
      `insert into public.orders (customer_id, status, total, note)
       select ${upTo(plan.size.customers)}, 'paid', i, 'imported' from generate_series(1, 200) i`,
    );
    rows += rowCount;
    report.longTransaction = { beganAt, rows, endedAt: null };
    await delay(100);
  } while (performance.now() - beganAt < openMs && !plan.signal.aborted);
  await connection.execute('commit');
  report.longTransaction = { beganAt, rows, endedAt: performance.now() };
  report.transactions += 1;
  report.rows += rows;
}

/** Works for the planned time, or until the signal; everything is committed when it resolves. */
export async function runWriter(
  connect: () => Promise<PgConnection>,
  plan: WriterPlan,
  report: WriterReport,
): Promise<void> {
  await using first = await connect();
  await using second = await connect();
  await Promise.all([work(first, plan, report), workLong(second, plan, report)]);
}

export function printWriter(report: WriterReport): string {
  const facts = [
    `${formatCount(report.transactions)} transactions`,
    `${formatCount(report.rows)} rows changed`,
  ];
  if (report.keyChanges > 0) facts.push(`${formatCount(report.keyChanges)} keys changed`);
  if (report.schemaChange !== null) facts.push('a column added');
  const long = report.longTransaction;
  if (long !== null) {
    const open = formatDuration((long.endedAt ?? performance.now()) - long.beganAt);
    const rows = `${formatCount(long.rows)} rows`;
    facts.push(
      long.endedAt === null
        ? `a transaction open for ${open} with ${rows}`
        : `a transaction of ${rows} over ${open}`,
    );
  }
  return `writer: ${facts.join(', ')}`;
}
