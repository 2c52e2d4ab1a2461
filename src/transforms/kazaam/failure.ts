/**
 * Why a document could not be transformed. `raw` are the errors that upstream passes on without a class,
 * `undefined` is where upstream's process ends in a panic.
 */
export type FailureKind = 'parse' | 'require' | 'spec' | 'raw' | 'undefined';

export class KazaamFailure extends Error {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.name = 'KazaamFailure';
    this.kind = kind;
  }
}

export const missingPath = (): KazaamFailure => new KazaamFailure('require', 'Path does not exist');

export const keyPathNotFound = (): KazaamFailure => new KazaamFailure('raw', 'Key path not found');

export const undefinedUpstream = (what: string): KazaamFailure =>
  new KazaamFailure('undefined', what);
