/** Why a document cannot be transformed. The message names columns and types, never a value. */
export class TransformFailure extends Error {
  readonly code: 'transform_expression' | 'transform_cast' | 'transform_mask';

  constructor(code: TransformFailure['code'], message: string) {
    super(message);
    this.name = 'TransformFailure';
    this.code = code;
  }
}
