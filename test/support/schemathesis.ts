// Schemathesis, which makes requests of an OpenAPI document and looks at the answers.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { cacheDir } from './server-binaries.ts';

export const schemathesisVersion = '4.30-4.32';
/** Its packages, for PYTHONPATH. */
export const cachedSchemathesis = join(cacheDir, `schemathesis-${schemathesisVersion}`);

/** Null where it is not installed. */
export function findSchemathesis(): string | null {
  return existsSync(cachedSchemathesis) ? cachedSchemathesis : null;
}
