// As failpoints.test.ts, into DuckDB.
import { sharedServer } from '../support/shared-servers.ts';
import { describeFailpoints } from './failpoint-bench.ts';

describeFailpoints(sharedServer(17), 'pg-duckdb upsert', ['kill', 'hang', 'enospc']);
describeFailpoints(sharedServer(18), 'pg-duckdb append', ['kill']);
