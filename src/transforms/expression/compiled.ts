import type { JsonObject } from '../json/value.ts';
import type { Moment } from './moment.ts';
import type { StaticType, Value } from './value.ts';

export interface Scope {
  readonly root: JsonObject;
  readonly now: () => Moment;
}

export interface Compiled {
  readonly type: StaticType;
  /** Throws `TransformFailure`. */
  readonly run: (scope: Scope) => Value;
}
