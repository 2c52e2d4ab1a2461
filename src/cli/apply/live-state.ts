import { benthosListSchema } from '../../api/schemas/operations.ts';
import type { ApiClient } from '../api-client.ts';
import { allConnections, allPipelines } from '../client/find.ts';
import type { Live } from './desired.ts';

export async function readLive(api: ApiClient): Promise<Live> {
  const path = '/api/v1/benthos-configurations';
  const [connections, pipelines, benthos] = await Promise.all([
    allConnections(api),
    allPipelines(api),
    api.list(benthosListSchema, { path }, (page) => page.benthos_configurations),
  ]);
  return { connections, pipelines, benthos };
}
