import type { DocumentTransform } from './document-transform.ts';

/** Takes documents where they stand among others; what it declines is given to the transform of one document. */
export interface DocumentsInPlace {
  /**
   * The result for the document that begins at `from`, null where it declines. `text` has a character for each
   * byte, and so has the result.
   */
  transform(bytes: Uint8Array, text: string, from: number): string | null;
  /** The place after the document that was transformed last, and the blanks behind it. */
  end(): number;
}

export interface LineTransform {
  readonly one: DocumentTransform;
  readonly inPlace: DocumentsInPlace | null;
}
