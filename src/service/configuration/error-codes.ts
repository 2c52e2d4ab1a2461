/** What an error code of each system looks like. Pure. */
import type { SystemType } from './schema-systems.ts';

interface CodeForm {
  readonly pattern: RegExp;
  readonly words: string;
}

export const ERROR_CODE_FORMS: Readonly<Record<SystemType, CodeForm>> = {
  postgres: {
    pattern: /^[0-9A-Z]{5}$/,
    words: 'an SQLSTATE of five digits or capital letters, e.g. 23505',
  },
  mysql: {
    pattern: /^(?:[1-9]\d{3,4}|(?:ER|CR)_[A-Z0-9_]+)$/,
    words: 'an error number or name, e.g. 1062 or ER_DUP_ENTRY',
  },
  mongodb: {
    pattern: /^(?:[1-9]\d{0,4}|[A-Z][a-z]+(?:[A-Z][A-Za-z]*)*)$/,
    words: 'an error code or its name, e.g. 11000 or DuplicateKey',
  },
  cosmosdb: {
    pattern: /^(?:[45]\d{2}(?:\/\d{1,5})?|11000|16500)$/,
    words: 'an HTTP status with or without a sub-status, e.g. 409 or 429/3200',
  },
};

export function isErrorCode(type: SystemType, code: string): boolean {
  return ERROR_CODE_FORMS[type].pattern.test(code);
}
