// Every failpoint, with the process killed there for every pair; hanging there until it is killed, and failing there,
// where rows are told apart by key: the next run must bring the destination to the source's content, each commit once.
import { expect, test } from 'vitest';

import { FAILPOINTS, type FailpointName } from '../../src/core/failpoint.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { describeFailpoints } from './failpoint-bench.ts';
import { failpointCases, pairs, unreachable } from './failpoint-cases.ts';

// Those of the server have tests of their own (orchestration-kills, server-letters).
/** Of the control plane, and tried with it. */
const OTHERS = /^(?:journal|letters|bronze)\./u;
const names = (Object.keys(FAILPOINTS) as FailpointName[]).filter((name) => !OTHERS.test(name));

test('every failpoint is covered by a case', () => {
  expect(failpointCases.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

test('what a pair is said not to reach is no more than recover of a history', () => {
  const left = pairs.flatMap((pair) => Object.keys(unreachable[pair] ?? {}));
  expect(new Set(left)).toEqual(new Set(['recover.beforeRepair', 'recover.afterRepair']));
});

describeFailpoints(sharedServer(17), 'pg-pg upsert', ['kill', 'hang', 'throw']);
describeFailpoints(sharedServer(18), 'pg-pg replace', ['kill']);
describeFailpoints(sharedServer(15), 'pg-pg append', ['kill']);
