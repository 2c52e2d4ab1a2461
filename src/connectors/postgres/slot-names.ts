/** Names of what a pipeline keeps in a source. No two pipelines may have one in common. */
import { createHash } from 'node:crypto';
import type { Leftover } from '../../core/connector.ts';

/** What a name may have at a server. */
const MAX_NAME_BYTES = 63;
const PREFIX = 'forebay_';
const INSERTS_SUFFIX = '_inserts';
const MAX_PLAIN = MAX_NAME_BYTES - PREFIX.length - INSERTS_SUFFIX.length;
const HASH_DIGITS = 12;
/** What ends the name that stands for one which a slot cannot have. */
const STAND_IN = /_x[0-9a-f]{12}$/;

/**
 * Name of the slot and of the publication. A pipeline's name stays as it is where a slot may have it and no other
 * pipeline's slot or second publication could have it too; otherwise it is cut to what is allowed, with a hash.
 */
export function slotName(pipeline: string): string {
  const isPlain = /^[a-z0-9_]+$/.test(pipeline) && pipeline.length <= MAX_PLAIN;
  if (isPlain && !pipeline.endsWith(INSERTS_SUFFIX) && !STAND_IN.test(pipeline))
    return `${PREFIX}${pipeline}`;
  const hash = createHash('sha256').update(pipeline).digest('hex').slice(0, HASH_DIGITS);
  const tail = `_x${hash}`;
  const readable = pipeline.toLowerCase().replace(/[^a-z0-9_]/g, '_');
  return `${PREFIX}${readable.slice(0, MAX_PLAIN - tail.length)}${tail}`;
}

/**
 * Tables without an identity are published for inserts and truncates only, in a publication of their own: were
 * their updates published too, the source would refuse them.
 */
export function insertsName(slot: string): string {
  return `${slot}${INSERTS_SUFFIX}`;
}

/** What a pipeline may have made, where the user gave no names. */
export function keptParts(pipeline: string): readonly Leftover[] {
  const { slot, publications } = sourceNames(pipeline, {});
  return [
    { kind: 'replication slot', name: slot },
    ...publications.map((name) => ({ kind: 'publication', name })),
  ];
}

/** What a pipeline reads from: made by it, or given by the user through `--set`. */
export interface SourceNames {
  readonly slot: string;
  /** The user's own slot name: one of that name that is there already is not ours to replace. */
  readonly slotGiven: boolean;
  readonly publications: readonly string[];
  /** The user's own publication, which is neither made nor changed nor removed. */
  readonly publicationGiven: boolean;
}

export function sourceNames(
  pipeline: string,
  options: Readonly<Record<string, string>>,
): SourceNames {
  const own = slotName(pipeline);
  const { 'postgres.slot': slot, 'postgres.publication': publication } = options;
  return {
    slot: slot ?? own,
    slotGiven: slot !== undefined,
    publications: publication === undefined ? [own, insertsName(own)] : [publication],
    publicationGiven: publication !== undefined,
  };
}
