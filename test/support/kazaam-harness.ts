// The upstream library, built from our harness around it. Nothing is built here: setup.ts does that.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

import { z } from 'zod';

import { cacheDir } from './server-binaries.ts';

const source = join(import.meta.dirname, 'kazaam-harness');

/** Another source is another program. */
function cachedHarness(): string {
  const hash = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  return join(cacheDir, `kazaam-harness-${hash.digest('hex').slice(0, 12)}`);
}

export function findKazaamHarness(): string | null {
  const path = env['FOREBAY_TEST_KAZAAM'] ?? cachedHarness();
  return existsSync(path) ? path : null;
}

/** Needs Go 1.21 or later; its module cache keeps what it downloads. */
export function buildKazaamHarness(): void {
  execFileSync('go', ['build', '-o', cachedHarness(), '.'], {
    cwd: source,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...env, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' },
  });
}

const answer = z.object({
  output: z.string().optional(),
  error: z.string().optional(),
  load: z.string().optional(),
  panic: z.string().optional(),
  hangs: z.boolean().optional(),
  varies: z.boolean().optional(),
});

export type UpstreamAnswer = z.infer<typeof answer>;

export interface UpstreamRequest {
  readonly spec: string;
  readonly input: string;
  /** How often it is transformed; results that differ are told. */
  readonly times: number;
}

export function askUpstream(
  harness: string,
  requests: readonly UpstreamRequest[],
): UpstreamAnswer[] {
  if (requests.length === 0) return [];
  const answers = execFileSync(harness, {
    input: requests.map((request) => JSON.stringify(request)).join('\n'),
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    env: { TZ: 'UTC' },
  });
  return answers
    .trimEnd()
    .split('\n')
    .map((line) => answer.parse(JSON.parse(line)));
}
