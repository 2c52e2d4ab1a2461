// Activities that every engine is tried with, and what they did.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

import { ForebayError } from '../../src/core/errors.ts';
import type { Activity, ActivityContext, Json } from '../../src/orchestration/flow.ts';

export interface Call {
  readonly name: string;
  readonly input: Json;
  readonly stepKey: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly lastHeartbeat: Json | null;
}

/** What activities did, and doors that a test opens for them. */
export class Recorder {
  readonly calls: Call[] = [];
  readonly aborts: string[] = [];
  readonly #doors = new Map<string, PromiseWithResolvers<void>>();
  running = 0;
  mostRunning = 0;

  door(name: string): PromiseWithResolvers<void> {
    const door = this.#doors.get(name) ?? Promise.withResolvers<void>();
    this.#doors.set(name, door);
    return door;
  }

  open(name: string): void {
    this.door(name).resolve();
  }

  inputsOf(name: string): Json[] {
    return this.calls.filter((call) => call.name === name).map(({ input }) => input);
  }
}

export function testActivities(recorder: Recorder) {
  const noted =
    (name: string, act: (input: never, context: ActivityContext) => Promise<unknown>): Activity =>
    async (input, context) => {
      const { stepKey, attempt, epoch, lastHeartbeat } = context;
      recorder.calls.push({ name, input, stepKey, attempt, epoch, lastHeartbeat });
      recorder.running += 1;
      recorder.mostRunning = Math.max(recorder.mostRunning, recorder.running);
      try {
        return await act(input as never, context);
      } finally {
        recorder.running -= 1;
      }
    };
  return {
    echo: noted('echo', (input) => Promise.resolve(input)),
    append: noted('append', ({ file, line }: { file: string; line: string }, { stepKey }) => {
      const there = existsSync(file) ? readFileSync(file, 'utf8') : '';
      if (!there.includes(`${stepKey} `)) appendFileSync(file, `${stepKey} ${line}\n`);
      return Promise.resolve(line);
    }),
    fail: noted('fail', ({ code }: { code: 'connection_lost' | 'value_rejected' }, context) => {
      context.heartbeat({ at: context.attempt });
      return Promise.reject(
        new ForebayError(code, { message: 'it failed', why: 'because', systemCode: '08006' }),
      );
    }),
    behindDoor: noted('behindDoor', async ({ door }: { door: string }, { signal }) => {
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => {
          recorder.aborts.push((signal.reason as ForebayError).code);
          reject(signal.reason as ForebayError);
        });
      });
      await Promise.race([recorder.door(door).promise, aborted]);
      return door;
    }),
    large: noted('large', () => Promise.resolve('x'.repeat(70_000))),
  };
}
