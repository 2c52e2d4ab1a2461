import type { StreamName } from '../../core/stream-schema.ts';

/** The one place where identifiers become SQL. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** For the few commands that take no parameters (replication commands, COPY, DDL). */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

export function quoteName(name: StreamName): string {
  return `${quoteIdent(name.namespace)}.${quoteIdent(name.name)}`;
}
