// One run of a pipeline whose rows are transformed, as a process of its own that a test can kill. Takes what to run
// as JSON, and prints the result.
import { argv, exit, stdout } from 'node:process';

import { runPipeline } from '../../src/engine/run.ts';
import { LANE_SPEC, laneSystems } from './lane-systems.ts';
import type { LaneSettings } from './lane-transforms.ts';

interface Order {
  readonly urls: readonly [string, string];
  readonly name: string;
  readonly settings: LaneSettings;
}

// Written by the test that started it.
const { urls, name, settings } = JSON.parse(argv[2] ?? '{}') as Order;
const result = await runPipeline(
  { kind: 'replicate', untilCaughtUp: true },
  { ...LANE_SPEC, name },
  laneSystems(urls, settings),
  { drain: new AbortController().signal, observe: () => {} },
);
stdout.write(JSON.stringify(result));
exit(result.status === 'completed' ? 0 : 1);
