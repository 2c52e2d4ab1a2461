/**
 * JSON without loss: numbers keep the text they had, objects the order of their keys (also of keys that
 * look like integers, which JavaScript's own objects would move to the front).
 */

export class JsonNumber {
  /** A number of JSON's grammar, as it stood in the text. */
  readonly lexeme: string;

  constructor(lexeme: string) {
    this.lexeme = lexeme;
  }
}

export type JsonObject = Map<string, JsonValue>;
export type JsonArray = JsonValue[];
export type JsonScalar = null | boolean | string | JsonNumber;
export type JsonValue = JsonScalar | JsonArray | JsonObject;
