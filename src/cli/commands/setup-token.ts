/** A new token for the first admin, for whom may read the metadata of the server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { type MetadataPlace, openMetadata } from '../../metadata/database.ts';
import { createSetupToken } from '../../metadata/setup-tokens.ts';
import type { RunCommand } from '../call.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';
import { sayDone } from '../client/say.ts';

const shape = { ...listShape, dataDir: z.string().min(1).optional() };
const FILE = 'forebay.db';

const variable = (name: string): string | undefined => {
  const text = process.env[name] ?? '';
  return text === '' ? undefined : text;
};

/** A folder that no server ever used is a mistake, not a place for new metadata. */
function placeOf(option: string | undefined): MetadataPlace {
  const url = variable('FOREBAY_DATABASE_URL');
  if (url !== undefined) return { kind: 'postgres', url: new Secret(url) };
  const folder = option ?? variable('FOREBAY_DATA_DIR') ?? '.forebay';
  const path = join(folder, FILE);
  if (existsSync(path)) return { kind: 'sqlite', path };
  throw new ForebayError('not_found', {
    message: `there is no metadata of a server in ${folder}`,
    fix: 'Name its folder with --data-dir, or its database with FOREBAY_DATABASE_URL; `forebay server` makes both.',
  });
}

export const run: RunCommand = async ({ options, terminal }) => {
  const given = readOptions(shape, options);
  await using metadata = await openMetadata(placeOf(given.dataDir));
  const token = await createSetupToken(metadata.db);
  if (token === null) {
    throw new ForebayError('already_exists', {
      message: 'the server is set up already',
      fix: 'Log in with `forebay login`; an admin makes further users and tokens.',
    });
  }
  terminal.err('Valid for an hour, once, for POST /api/v1/setup; tokens made before are void.\n');
  sayDone(token, { setup_token: token }, { format: outputFormat(given), terminal });
  return 0;
};
