/** Documents a second through `forebay transform` and through the library in Go, each on one core. */
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import { findKazaamHarness } from '../test/support/kazaam-harness.ts';
import type { Bed } from './bed.ts';
import { type Measured, median } from './measure.ts';
import { compareTimes, type Outcome } from './report.ts';

const BLOCKS = 30;
const BLOCK_DOCUMENTS = 10_000;
const DOCUMENTS = BLOCKS * BLOCK_DOCUMENTS;
const PROJECT = new URL('..', import.meta.url).pathname;

const SPECIFICATIONS = {
  'eight fields': [
    {
      operation: 'shift',
      spec: {
        id: 'order.id',
        'customer.name': 'order.customer.name',
        'customer.email': 'order.customer.contact.email',
        total: 'order.totals.grand',
        currency: 'order.currency',
        'first.sku': 'order.lines[0].sku',
        skus: 'order.lines[*].sku',
        created: 'meta.createdAt',
      },
    },
    { operation: 'default', spec: { source: 'shop', version: 3, 'customer.segment': 'b2c' } },
  ],
  'three fields': [
    {
      operation: 'shift',
      spec: { id: 'order.id', name: 'order.customer.name', total: 'order.totals.grand' },
    },
    { operation: 'default', spec: { source: 'shop' } },
  ],
};

/** About 1 kB. */
function document(i: number): string {
  const lines = [1, 2, 3, 4].map((line) => ({
    sku: `SKU-${String((i * line) % 99_999).padStart(5, '0')}`,
    title: `Article with a moderately long title ${line}`,
    quantity: line,
    price: line * 9.99,
    tax: 20,
  }));
  return JSON.stringify({
    meta: { createdAt: '2026-03-01T10:11:12Z', source: 'web', tags: ['a', 'b', 'c'] },
    order: {
      id: i,
      status: 'paid',
      currency: 'EUR',
      customer: {
        id: i % 1000,
        name: `Customer Number ${i}`,
        contact: { email: `user${i}@example.com`, phone: `+43 660 ${i}` },
        address: { street: `Main Street ${i % 300}`, zip: '1010', city: 'Vienna', country: 'AT' },
      },
      lines,
      totals: { net: 100.5, tax: 20.1, grand: 120.6 },
      notes: 'Please leave at the door. Call when you arrive, the bell does not work. Thank you!',
    },
  });
}

function writeDocuments(path: string): void {
  for (let block = 0; block < BLOCKS; block += 1) {
    const lines = Array.from(
      { length: BLOCK_DOCUMENTS },
      (_, i) => `${document(block * BLOCK_DOCUMENTS + i)}\n`,
    );
    appendFileSync(path, lines.join(''));
  }
}

interface Redirection {
  readonly input: string;
  readonly output: string;
}

/** On the last core, from a file to a file. */
function runOnOneCore(
  command: readonly string[],
  { input, output }: Redirection,
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stdin = openSync(input, 'r');
    const stdout = openSync(output, 'w');
    const start = performance.now();
    const child = spawn('taskset', ['-c', String(availableParallelism() - 1), ...command], {
      env: { ...process.env, ...env },
      stdio: [stdin, stdout, 'inherit'],
    });
    child.once('error', reject);
    child.once('close', (code) => {
      closeSync(stdin);
      closeSync(stdout);
      if (code === 0) resolve((performance.now() - start) / 1000);
      else reject(new Error(`${command.join(' ')} ended with ${code}`));
    });
  });
}

async function ours(spec: string, folder: string, input: string): Promise<Measured> {
  const usage = join(folder, 'usage.json');
  const command = [
    process.execPath,
    '--import',
    join(PROJECT, 'bench/usage.ts'),
    join(PROJECT, 'dist/cli/main.js'),
    'transform',
    '--type',
    'kazaam',
    '--spec',
    spec,
  ];
  const files = { input, output: join(folder, 'ours') };
  const seconds = await runOnOneCore(command, files, { FOREBAY_BENCH_USAGE: usage });
  const used = JSON.parse(readFileSync(usage, 'utf8')) as { cpuSeconds: number; rssMiB: number };
  return { seconds, ...used };
}

/** The same documents in both: an upstream object has its keys in another order each time. */
function checkEqual(folder: string): void {
  const read = (name: string): string[] =>
    readFileSync(join(folder, name), 'utf8').split('\n').slice(0, 1000);
  const sorted = (line: string): string => Array.from(line).toSorted().join('');
  const theirs = read('theirs').map(sorted);
  if (read('ours').some((line, at) => sorted(line) !== theirs[at])) {
    throw new Error('the two results differ');
  }
}

async function compareWith(
  harness: string,
  name: keyof typeof SPECIFICATIONS,
  { runs, atLeast }: { readonly runs: number; readonly atLeast: number | null },
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-kazaam-'));
  try {
    const spec = join(folder, 'spec.json');
    writeFileSync(spec, JSON.stringify(SPECIFICATIONS[name]));
    const input = join(folder, 'documents');
    writeDocuments(input);
    const mine: Measured[] = [];
    const other: Measured[] = [];
    for (let i = 0; i < runs; i += 1) {
      const files = { input, output: join(folder, 'theirs') };
      const seconds = await runOnOneCore([harness, '-spec', spec], files);
      other.push({ seconds, cpuSeconds: null, rssMiB: null });
      mine.push(await ours(spec, folder, input));
    }
    checkEqual(folder);
    const rate = (side: readonly Measured[]): string =>
      Math.round(DOCUMENTS / median(side.map(({ seconds }) => seconds))).toLocaleString('en');
    return compareTimes(
      `kazaam, shift and default of ${name} in 1 kB`,
      'qntfy/kazaam 4.0.1 in Go',
      { ours: mine, theirs: other, atLeast },
      [`ours ${rate(mine)} documents/s, theirs ${rate(other)}`],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function kazaam({ sizes: { runs } }: Bed): Promise<Outcome[]> {
  const harness = findKazaamHarness();
  if (harness === null || spawnSync('taskset', ['-V']).status !== 0) {
    process.stdout.write('kazaam needs taskset and the harness of npm run test:setup: left out\n');
    return [];
  }
  return [
    await compareWith(harness, 'eight fields', { runs, atLeast: 3 }),
    // Upstream reads no further than it must, ours checks the whole document whatever is asked of it.
    await compareWith(harness, 'three fields', { runs, atLeast: null }),
  ];
}
