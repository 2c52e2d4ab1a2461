/** All rules over one file. Pure. */
import { type DocumentNode, nodeAt } from './document.ts';
import { lookAtFiles } from './files.ts';
import { violationsOf } from './issues.ts';
import { configurationJsonSchema, fieldsAt, type JsonSchema } from './json-schema.ts';
import { outlineOf } from './outline.ts';
import { prepare } from './prepare.ts';
import { printPath, type Violation } from './problem.ts';
import type { Surroundings } from './references.ts';
import { circleRules } from './rules-circles.ts';
import { type CheckSpecification, entryRules } from './rules-entries.ts';
import { idRules } from './rules-ids.ts';
import { systemRules } from './rules-systems.ts';
import { type Configuration, configurationSchema } from './schema.ts';

export interface Validation {
  /** Null where a rule is broken, or where a reference that the schema needs leads nowhere. */
  readonly configuration: Configuration | null;
  readonly violations: readonly Violation[];
  /** References and paths that lead nowhere here. Not the file's mistake, but nothing runs with them. */
  readonly missing: readonly Violation[];
  /** By `env:NAME`, `file:path` and, for files named by a field, `path:path`. */
  readonly values: ReadonlyMap<string, string | null>;
  readonly counts: { readonly streams: number; readonly transformations: number };
}

let jsonSchema: JsonSchema | null = null;

export function validate(
  root: DocumentNode,
  surroundings: Surroundings,
  check: CheckSpecification,
): Validation {
  const prepared = prepare(root, surroundings);
  const outline = outlineOf(prepared);
  const parsed = configurationSchema.safeParse(prepared.tree);
  const isUnknown = ({ path }: Violation): boolean => prepared.filled.get(printPath(path)) === null;
  const shape = violationsOf(parsed.error?.issues ?? [], {
    root,
    fieldsAt: (path) => {
      jsonSchema ??= configurationJsonSchema();
      return fieldsAt(jsonSchema, path, (at) => {
        const type = nodeAt(root, [...at, 'type']);
        return type?.kind === 'scalar' ? type.value : null;
      });
    },
  });
  const files = lookAtFiles(outline, surroundings);
  const violations = [
    ...prepared.violations,
    ...[
      ...shape,
      ...idRules(outline),
      ...systemRules(outline),
      ...circleRules(outline),
      ...entryRules(outline, check),
    ].filter((violation) => !isUnknown(violation)),
  ];
  const contents = [...files.contents].map(([path, text]) => [`path:${path}`, text] as const);
  return {
    configuration: parsed.success && violations.length === 0 ? parsed.data : null,
    violations,
    missing: [...prepared.missing, ...files.missing],
    values: new Map([...prepared.values, ...contents]),
    counts: {
      streams: outline.streams.length,
      transformations: outline.transformations.length,
    },
  };
}
