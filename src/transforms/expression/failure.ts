/** Why a document cannot be transformed. The message names columns and types, never a value. */
export class TransformFailure extends Error {
  readonly code:
    | 'transform_cast'
    | 'transform_expression'
    | 'transform_json'
    | 'transform_mapping'
    | 'transform_mask';

  constructor(code: TransformFailure['code'], message: string) {
    super(message);
    this.name = 'TransformFailure';
    this.code = code;
  }
}

/** A failure's message begins with where it happened. */
export function within<Result>(where: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TransformFailure)) throw error;
    throw new TransformFailure(error.code, `${where}: ${error.message}`);
  }
}
