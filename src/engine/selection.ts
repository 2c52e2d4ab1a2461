/** Which streams a pipeline moves: globs over `namespace.name`, `*` and `?`, `!` excludes. Pure. */
import { ForebayError } from '../core/errors.ts';
import type { StreamId } from '../core/stream-schema.ts';

function toPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su');
}

export function matches(selection: readonly string[], id: StreamId): boolean {
  const wanted = selection.filter((glob) => !glob.startsWith('!'));
  const unwanted = selection.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1));
  const included = wanted.length === 0 || wanted.some((glob) => toPattern(glob).test(id));
  return included && !unwanted.some((glob) => toPattern(glob).test(id));
}

/** Names without a wildcard that match nothing: a spelling mistake must not become an empty run. */
export function assertNamed(selection: readonly string[], ids: readonly StreamId[]): void {
  const missing = selection.filter(
    (glob) => !glob.startsWith('!') && !/[*?]/.test(glob) && !ids.includes(glob),
  );
  if (missing.length === 0) return;
  throw new ForebayError('stream_not_found', {
    message: `The source has no table ${missing.join(', ')}`,
    fix: `Tables there: ${ids.slice(0, 20).join(', ') || 'none that may be read'}.`,
  });
}
