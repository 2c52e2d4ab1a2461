// The complete minimal connector of docs/connectors/writing-one.md. In src/connectors/ its address would stand in
// config.ts, and the registry would import this file on first use.
import { resolve } from 'node:path';

import type { Connector, SystemAddress } from '../../src/core/connector.ts';
import { ForebayError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { ExampleDestination } from './example-destination.ts';
import { JournalSource } from './example-source.ts';

const SCHEME = 'example:';

/** Reads `example:path/to/file`. Opens nothing, loads no driver. */
export function exampleAddress(url: string): SystemAddress {
  const path = url.startsWith(SCHEME) ? url.slice(SCHEME.length) : '';
  if (path === '') {
    throw new ForebayError('invalid_url', {
      message: 'an example system is named by its file',
      fix: 'Write example:path.',
    });
  }
  const absolute = resolve(path);
  return {
    connector: 'example',
    url: new Secret(url),
    display: url,
    identity: `${SCHEME}${absolute}`,
    label: path.split('/').at(-1) ?? path,
    reaches: { hosts: [], files: [absolute] },
  };
}

const pathOf = (address: SystemAddress): string => address.identity.slice(SCHEME.length);

export const exampleConnector: Connector = {
  name: 'example',
  openSource: (address, context) => Promise.resolve(new JournalSource(pathOf(address), context)),
  openDestination: (address, context) =>
    Promise.resolve(new ExampleDestination(pathOf(address), context)),
};
