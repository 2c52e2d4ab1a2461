/** The fields of a document that become columns. */
import { type JsonMember, type JsonSpan, objectMembers, wholeSpan } from './json-members.ts';
import { pathId } from './lane-shape.ts';

export interface Field {
  readonly path: readonly string[];
  readonly span: JsonSpan;
}

/** Whether the members of an object are fields of their own, rather than the object one field. */
export type OpensObject = (path: readonly string[], span: JsonSpan) => boolean;

/** By path; of members with one name the last counts. Null if the document is no object. */
export function readFields(json: string, opens: OpensObject): ReadonlyMap<string, Field> | null {
  const whole = wholeSpan(json);
  const fields = new Map<string, Field>();
  if (whole?.kind !== 'object') return null;
  const walk = (above: readonly string[], members: readonly JsonMember[] | null): boolean => {
    if (members === null) return false;
    for (const { name, ...span } of members) {
      const path = [...above, name];
      const opened = span.kind === 'object' && opens(path, span);
      if (!opened) fields.set(pathId(path), { path, span });
      else if (!walk(path, objectMembers(json, span))) return false;
    }
    return true;
  };
  return walk([], objectMembers(json, whole)) ? fields : null;
}
