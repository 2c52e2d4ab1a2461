/** Ids are unique, and what refers to one finds it. Pure. */
import { nearest } from '../../connectors/nearest.ts';
import { type Outline, type Part, textOf } from './outline.ts';
import { type Path, shown, type Violation } from './problem.ts';

const SHOWN_IDS = 20;
/** So that a file of thousands of entries with one mistake in each is still checked at once. */
const COMPARED_IDS = 500;

interface IdList {
  readonly name: 'authentication' | 'transformations';
  readonly ids: ReadonlySet<string>;
  /** False while an id is a reference that leads nowhere. */
  readonly isKnown: boolean;
}

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

function unknownId(path: Path, id: string, { name, ids, isKnown }: IdList): Violation[] {
  if (!isKnown || ids.has(id)) return [];
  const meant = nearest(id, [...ids].slice(0, COMPARED_IDS));
  const hint = meant === null ? '' : `Did you mean ${meant}? `;
  const there =
    ids.size === 0
      ? `${name} has no entries`
      : `Ids there: ${[...ids].slice(0, SHOWN_IDS).join(', ')}`;
  return [
    {
      path,
      rule: 'known-id',
      message: `${name} has no entry with the id ${shown(id)}`,
      fix: `${hint}${there}.`,
    },
  ];
}

function listOfIds(name: IdList['name'], parts: readonly Part[]): IdList {
  const ids = new Set(parts.flatMap((part) => textOf(part, 'id') ?? []));
  return { name, ids, isKnown: ![...ids].some((id) => id.includes('${')) };
}

function referred(part: Part, field: string, list: IdList): Violation[] {
  const id = textOf(part, field);
  return id === null ? [] : unknownId([...part.path, field], id, list);
}

export function idRules(outline: Outline): Violation[] {
  const { streams, authentication, transformations } = outline;
  const logins = listOfIds('authentication', authentication);
  const rules = listOfIds('transformations', transformations);
  return [
    ...repeated(streams, 'streams'),
    ...repeated(authentication, 'authentication'),
    ...repeated(transformations, 'transformations'),
    ...streams.flatMap((stream) => [
      ...referred(stream.source, 'auth_id', logins),
      ...referred(stream.destination, 'auth_id', logins),
      ...referred(stream, 'transformation_id', rules),
    ]),
  ];
}
