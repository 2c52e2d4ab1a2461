/** What files say that there shall be. */
import type { ConnectorType } from '../../api/schemas/connectors.ts';
import type { PipelineInput } from '../../api/schemas/pipelines.ts';
import type { Surroundings } from '../../service/configuration/references.ts';
import type { Connection, Pipeline } from '../client/find.ts';
import type { ConnectionFields } from './connection-fields.ts';

export interface DesiredConnection {
  readonly name: string;
  readonly type: ConnectorType;
  readonly fields: ConnectionFields;
  readonly surroundings: Surroundings;
  /** The file, for what is found out later. */
  readonly file: string;
}

/** A pipeline with names where the API has ids. */
export interface DesiredPipeline {
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly benthos: readonly string[];
  readonly input: PipelineInput;
  /** Left out, a pipeline stays enabled or disabled as it is. */
  readonly saysActive: boolean;
}

export interface Desired {
  readonly connections: readonly DesiredConnection[];
  readonly pipelines: readonly DesiredPipeline[];
}

export interface NamedConfiguration {
  readonly id: string;
  readonly name: string;
}

/** What a server has. */
export interface Live {
  readonly connections: readonly Connection[];
  readonly pipelines: readonly Pipeline[];
  readonly benthos: readonly NamedConfiguration[];
}
