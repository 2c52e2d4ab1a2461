/** The published .proto files, as grpc-js takes them. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** Beside `src` and `dist`, both of which hold this file at the same depth. */
const FOLDER = join(import.meta.dirname, '..', '..', '..', 'proto');

/** Fields keep their names, and what was left out is left out. */
export function loadDefinitions(): PackageDefinition {
  const files = globSync('**/*.proto', { cwd: FOLDER }).toSorted();
  return loadSync(files, { includeDirs: [FOLDER], keepCase: true, longs: Number, enums: String });
}

/** Fails where the files hold no such service: they are older than the routes. */
export function serviceOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  const found = definitions[name];
  if (found === undefined || 'format' in found) {
    throw new Error(`the .proto files hold no service ${name}: run npm run docs`);
  }
  // What is no message and no enum is a service.
  return found;
}
