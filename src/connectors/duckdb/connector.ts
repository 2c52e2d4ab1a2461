import type { Connector } from '../../core/connector.ts';
import { DuckdbFile } from './connection.ts';
import { DuckdbDestination } from './destination.ts';
import { DuckdbSource } from './source.ts';
import { openDuckdbWarehouse } from './warehouse.ts';

export const connector: Connector = {
  name: 'duckdb',
  openSource: async (address, context) => new DuckdbSource(new DuckdbFile(address, context)),
  openDestination: async (address, context) =>
    new DuckdbDestination(new DuckdbFile(address, context)),
  openWarehouse: (address, context) => openDuckdbWarehouse(new DuckdbFile(address, context)),
};
