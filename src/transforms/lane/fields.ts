/** The fields of a document that become columns. */
import { eachMember, type JsonSpan, wholeSpan } from './json-members.ts';
import { PATH_MARK } from './lane-shape.ts';

/** Whether the members of an object are fields of their own, rather than the object one field. */
export type OpensObject = (id: string, span: JsonSpan) => boolean;

/**
 * Tells every field with the id of its path (`pathId`), in order; one that comes twice counts as it comes last. False
 * if the document is no object.
 */
export function eachField(
  json: string,
  opens: OpensObject,
  visit: (id: string, span: JsonSpan) => void,
): boolean {
  const walk = (above: string, around: JsonSpan): boolean =>
    eachMember(json, around, (name, span) => {
      const id = above + name;
      if (span.kind === 'object' && opens(id, span)) return walk(id + PATH_MARK, span);
      visit(id, span);
      return true;
    });
  const whole = wholeSpan(json);
  return whole?.kind === 'object' && walk('', whole);
}
