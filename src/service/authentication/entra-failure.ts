/** Why Microsoft Entra ID, or the identity endpoint of a machine, gave no token. Pure. */
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';

/** The last thing that came over the network. */
export type Answer =
  | { readonly kind: 'none' }
  | { readonly kind: 'unreachable'; readonly host: string; readonly why: string }
  | {
      readonly kind: 'answered';
      readonly host: string;
      readonly status: number;
      readonly body: string;
    };

/** Error response of OAuth 2.0 (RFC 6749, section 5.2), which both send. */
const refusalSchema = z.looseObject({
  error: z.string(),
  error_description: z.string().optional(),
});

const LONGEST_WHY = 300;
/** Request timeout, an endpoint that is being updated, too many requests. */
const PASSING_STATUS = [408, 410, 429];

function isPassing(status: number): boolean {
  return status >= 500 || PASSING_STATUS.includes(status);
}

/** The first line, without the ids that Entra appends for its own support. */
function firstLine(text: string): string {
  const line = text.split(/[\r\n]/, 1)[0] ?? '';
  return line
    .replace(/ Trace ID: .*$/, '')
    .slice(0, LONGEST_WHY)
    .trim();
}

function readRefusal(body: string): string | null {
  try {
    const parsed = refusalSchema.safeParse(JSON.parse(body));
    if (!parsed.success) return null;
    const { error, error_description: description } = parsed.data;
    return description === undefined ? error : `${error}: ${firstLine(description)}`;
  } catch {
    // A page of a proxy, or nothing; the status tells enough.
    return null;
  }
}

function without(text: string, secret: string | null): string {
  return secret === null || secret === '' ? text : text.replaceAll(secret, '[secret]');
}

/** `secret` is cut from whatever is told. The failure of the library is no cause: it may hold the request. */
export function entraFailure(answer: Answer, error: unknown, secret: string | null): ForebayError {
  const own = firstLine(error instanceof Error ? error.message : String(error));
  switch (answer.kind) {
    case 'none':
      return new ForebayError('token_not_issued', {
        message: 'An access token could not be asked for',
        why: without(own, secret),
      });
    case 'unreachable':
      return new ForebayError('token_unavailable', {
        message: `The issuer of access tokens at ${answer.host} cannot be reached`,
        why: answer.why,
      });
    case 'answered': {
      const { host, status } = answer;
      const refusal = readRefusal(answer.body);
      const passing = isPassing(status);
      const why = status < 400 ? own : (refusal ?? `HTTP ${status}`);
      return new ForebayError(passing ? 'token_unavailable' : 'token_not_issued', {
        message: `${host} gave no access token`,
        why: without(why, secret),
        systemCode: String(status),
      });
    }
  }
}
