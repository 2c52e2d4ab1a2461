// A process of forebay that is killed and started again, over and over, as if its machine were.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import type { Random } from './random.ts';

/** Beginning is a second of it: some lives end before. */
const LIFE_MS = { least: 300, most: 4500 } as const;
const REST_MS = 300;

export interface MortalProcess extends AsyncDisposable {
  readonly deaths: () => number;
  /** Everything that all of its lives printed. */
  readonly output: () => string;
  /** Kills no more, and lets the last life go on. Throws where a life ended by itself. */
  spare(): Promise<void>;
}

export function startMortal(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  { random, deaths: wanted }: { readonly random: Random; readonly deaths: number },
): MortalProcess {
  let output = '';
  let deaths = 0;
  const sparing = new AbortController();
  const live = (): ChildProcess => {
    const child = spawn(process.execPath, ['src/cli/main.ts', ...args, '--json'], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return child;
  };
  let child = live();
  const dieAndLive = async (): Promise<void> => {
    while (deaths < wanted && !sparing.signal.aborted) {
      const lifeMs = LIFE_MS.least + random.below(LIFE_MS.most - LIFE_MS.least);
      const ended = once(child, 'exit');
      await Promise.race([
        ended,
        delay(lifeMs, undefined, { signal: sparing.signal }).catch(() => {}),
      ]);
      if (sparing.signal.aborted) return;
      if (child.exitCode !== null)
        throw new Error(`${args[0]} ended by itself with ${child.exitCode}:\n${tail(output)}`);
      child.kill('SIGKILL');
      await ended;
      deaths += 1;
      await delay(random.below(REST_MS));
      child = live();
    }
  };
  const dying = dieAndLive();
  dying.catch(() => {});
  return {
    deaths: () => deaths,
    output: () => output,
    spare: async () => {
      sparing.abort();
      await dying;
    },
    [Symbol.asyncDispose]: async () => {
      sparing.abort();
      await dying.catch(() => {});
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function tail(text: string): string {
  return text.slice(-4000);
}
