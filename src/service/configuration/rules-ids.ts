/** Ids are unique, and what refers to one finds it. Pure. */
import { nearest } from '../../connectors/nearest.ts';
import { type Outline, type Part, textOf } from './outline.ts';
import { type Path, shown, type Violation } from './problem.ts';

const SHOWN_IDS = 20;

function repeated(parts: readonly Part[], what: string): Violation[] {
  const first = new Map<string, number>();
  return parts.flatMap((part, index) => {
    const id = textOf(part, 'id');
    if (id === null) return [];
    const before = first.get(id);
    if (before === undefined) {
      first.set(id, index);
      return [];
    }
    return [
      {
        path: [...part.path, 'id'],
        rule: 'unique-id',
        message: `${shown(id)} is already the id of ${what}[${before}]`,
        fix: 'Give each entry an id of its own.',
      } as const,
    ];
  });
}

function unknownId(path: Path, id: string, list: string, known: ReadonlySet<string>): Violation[] {
  if (known.has(id)) return [];
  const meant = nearest(id, [...known]);
  const hint = meant === null ? '' : `Did you mean ${meant}? `;
  const there =
    known.size === 0
      ? `${list} has no entries`
      : `Ids there: ${[...known].slice(0, SHOWN_IDS).join(', ')}`;
  return [
    {
      path,
      rule: 'known-id',
      message: `${list} has no entry with the id ${shown(id)}`,
      fix: `${hint}${there}.`,
    },
  ];
}

function idsOf(parts: readonly Part[]): ReadonlySet<string> {
  return new Set(parts.flatMap((part) => textOf(part, 'id') ?? []));
}

export function idRules(outline: Outline): Violation[] {
  const { streams, authentication, transformations } = outline;
  const authIds = idsOf(authentication);
  const transformationIds = idsOf(transformations);
  const refer = (part: Part, field: string, list: string, known: ReadonlySet<string>) => {
    const id = textOf(part, field);
    return id === null ? [] : unknownId([...part.path, field], id, list, known);
  };
  return [
    ...repeated(streams, 'streams'),
    ...repeated(authentication, 'authentication'),
    ...repeated(transformations, 'transformations'),
    ...streams.flatMap((stream) => [
      ...refer(stream.source, 'auth_id', 'authentication', authIds),
      ...refer(stream.destination, 'auth_id', 'authentication', authIds),
      ...refer(stream, 'transformation_id', 'transformations', transformationIds),
    ]),
  ];
}
