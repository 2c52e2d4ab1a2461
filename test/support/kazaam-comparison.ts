// Cases for both, ours and upstream, and what to make of two answers.
import { ForebayError } from '../../src/core/errors.ts';
import { compileKazaam } from '../../src/transforms/kazaam/compile.ts';
import { canonicalJson } from './canonical-json.ts';
import { askUpstream, type UpstreamAnswer } from './kazaam-harness.ts';
import { drawCase, type KazaamCase } from './kazaam-cases.ts';
import type { Random } from './random.ts';

/** Why a case has no defined result upstream; docs/transformations.md tells of each. */
type Exclusion = 'panic' | 'endless' | 'order of keys' | 'shared memory' | 'escaped key';

export interface Difference {
  readonly case: KazaamCase;
  readonly upstream: string;
  readonly ours: string;
}

export interface Tally {
  readonly compared: number;
  readonly excluded: Readonly<Record<Exclusion, number>>;
  readonly differences: readonly Difference[];
  /** Of the compared, by what upstream answered. */
  readonly kinds: Readonly<Record<string, number>>;
}

interface Operation {
  readonly operation: string;
  readonly inplace?: boolean;
  readonly spec: Readonly<Record<string, unknown>>;
}

function operationsOf(spec: string): readonly Operation[] {
  return JSON.parse(spec);
}

/**
 * Whether upstream may read from memory that it has written to: where a value that was found in a document is
 * written into the same document more than once. Whether it does depends on how much memory was allotted, so
 * such a case counts as excluded only where the results differ.
 */
function mayShareMemory(spec: string): boolean {
  return operationsOf(spec).some(({ operation, inplace, spec: moves }) => {
    if (operation !== 'coalesce' && !(operation === 'shift' && inplace === true)) return false;
    const writes = Object.values(moves).flat().length;
    return writes > 1 || Object.keys(moves).some((target) => target.includes('[*]'));
  });
}

/** Upstream reads the escapes of a key to delete into memory that the next key is read into. */
function deletesEscapedKey(spec: string): boolean {
  return operationsOf(spec).some(
    ({ operation, spec: { paths } }) =>
      operation === 'delete' && JSON.stringify(paths ?? '').includes('\\\\'),
  );
}

function hasSeveralKeys(spec: string): boolean {
  return operationsOf(spec).some(({ spec: entries }) => Object.keys(entries).length > 1);
}

/** In one text: kind and content; errors with their message, which begins with their class. */
function oursFor({ spec, input }: KazaamCase): string {
  try {
    const transform = compileKazaam(JSON.parse(spec), { mode: 'compat', dialect: 'kazaam' });
    const outcome = transform(input);
    if (outcome.kind === 'document') return `output ${canonicalJson(outcome.json)}`;
    return outcome.kind === 'failed' ? `error ${outcome.message}` : outcome.kind;
  } catch (error) {
    if (error instanceof ForebayError && error.code === 'kazaam_spec') return 'refused';
    throw error;
  }
}

function upstreamText(answer: UpstreamAnswer): string {
  if (answer.load !== undefined) return 'refused';
  if (answer.error !== undefined) return `error ${answer.error}`;
  return `output ${canonicalJson(answer.output ?? '')}`;
}

function exclusionOf(one: KazaamCase, answer: UpstreamAnswer): Exclusion | null {
  if (answer.panic !== undefined) return 'panic';
  if (answer.hangs === true) return 'endless';
  if (answer.varies === true) return 'order of keys';
  return deletesEscapedKey(one.spec) ? 'escaped key' : null;
}

/** Draws cases until so many could be compared. */
export function compareRandomCases(harness: string, random: Random, wanted: number): Tally {
  const excluded = {
    panic: 0,
    endless: 0,
    'order of keys': 0,
    'shared memory': 0,
    'escaped key': 0,
  };
  const kinds: Record<string, number> = {};
  const differences: Difference[] = [];
  let compared = 0;
  while (compared < wanted) {
    const cases = Array.from({ length: wanted - compared }, () => drawCase(random));
    const answers = askUpstream(
      harness,
      cases.map((one) => ({ ...one, times: hasSeveralKeys(one.spec) ? 4 : 1 })),
    );
    for (const [at, answer] of answers.entries()) {
      const one = cases[at];
      if (one === undefined) throw new Error('upstream gave more answers than it was asked');
      const ours = oursFor(one);
      const upstream = upstreamText(answer);
      let exclusion = exclusionOf(one, answer);
      if (exclusion === null && ours !== upstream) {
        // Of two orders of keys, a few trials may all have shown the other.
        const [again] = askUpstream(harness, [{ ...one, times: 200 }]);
        exclusion = exclusionOf(one, again ?? answer);
        if (exclusion === null && mayShareMemory(one.spec)) exclusion = 'shared memory';
        if (exclusion === null) differences.push({ case: one, upstream, ours });
      }
      if (exclusion !== null) excluded[exclusion] += 1;
      else {
        compared += 1;
        const kind = upstream.split(' ')[0] ?? '';
        kinds[kind] = (kinds[kind] ?? 0) + 1;
      }
    }
  }
  return { compared, excluded, differences, kinds };
}
