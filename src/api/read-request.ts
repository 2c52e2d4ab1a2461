/** Parts of a request as their schemas read them. */
import { z } from 'zod';
import { checkDocument, pointerOf } from './json-body.ts';
import { type FieldPlace, type FieldProblem, RequestError } from './problem.ts';

type Issue = z.core.$ZodIssue;

interface Located {
  readonly path: readonly PropertyKey[];
  readonly issue: Issue;
}

/** Of a union, what the form that fits best lacks: the one in which the fault lies deepest. */
function leaves(issue: Issue, above: readonly PropertyKey[] = []): Located[] {
  const path = [...above, ...issue.path];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ path, issue }];
  const forms = issue.errors.map((errors) => errors.flatMap((inner) => leaves(inner, path)));
  const depth = (form: readonly Located[]): number =>
    Math.max(0, ...form.map((located) => located.path.length));
  const best = forms.toSorted((a, b) => depth(b) - depth(a))[0] ?? [];
  return depth(best) > path.length ? best : [{ path, issue }];
}

const plain = (path: readonly PropertyKey[]): (string | number)[] =>
  path.map((part) => (typeof part === 'symbol' ? '' : part));

function problemsOf(
  place: FieldPlace,
  error: z.ZodError,
  above: readonly string[],
): FieldProblem[] {
  return error.issues.flatMap((issue) =>
    leaves(issue, above).flatMap(({ path, issue: { code, message, ...rest } }) => {
      const at = plain(path);
      const known = 'keys' in rest && code === 'unrecognized_keys' ? rest.keys : null;
      if (known === null) return [{ in: place, pointer: pointerOf(at), code, message }];
      return known.map((key) => ({
        in: place,
        pointer: pointerOf([...at, key]),
        code,
        message: 'is not known here',
      }));
    }),
  );
}

const MOST_FIELDS = 50;

/** `above` is where the value stands in that part. */
export function readPart(
  place: FieldPlace,
  schema: z.ZodType,
  value: unknown,
  above: readonly string[] = [],
): unknown {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const fields = problemsOf(place, read.error, above).slice(0, MOST_FIELDS);
  const [first] = fields;
  const where =
    first === undefined || first.pointer === '' ? `the ${place}` : first.pointer.slice(1);
  throw new RequestError('request_invalid', {
    message: `${where}: ${first?.message ?? 'is not valid'}`,
    fields,
  });
}

const NOTHING = z.strictObject({});
const NO_BODY = NOTHING.optional();

/** Texts of query and path; they reach the database as bodies do. */
export function readTexts(
  place: 'query' | 'path',
  schema: z.ZodType | undefined,
  values: unknown,
): unknown {
  // Fastify's have no prototype.
  const own = { ...(values as Record<string, unknown>) };
  checkDocument(own, place);
  return readPart(place, schema ?? NOTHING, own);
}

export function readBody(schema: z.ZodType | undefined, document: unknown): unknown {
  return readPart('body', schema ?? NO_BODY, document);
}
