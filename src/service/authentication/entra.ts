/** Tokens of Microsoft Entra ID through `@azure/identity`, which is loaded when the first is asked for. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import type * as Pipeline from '@azure/core-rest-pipeline';
import type * as Identity from '@azure/identity';
import { checkKeyPair, unreadable } from '../../core/certificate.ts';
import type { AccessToken } from '../../core/credentials.ts';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { type Answer, entraFailure } from './entra-failure.ts';
import type { TokenRequest } from './token-source.ts';

interface Application {
  readonly tenantId: string;
  readonly clientId: string;
}

export type EntraWay =
  | (Application & { readonly kind: 'client-secret'; readonly secret: Secret })
  /** A PEM file with the certificate and its key. */
  | (Application & { readonly kind: 'client-certificate'; readonly file: string })
  | (Application & { readonly kind: 'workload-identity' })
  | { readonly kind: 'managed-identity'; readonly clientId: string | null };

export interface EntraIdentity {
  readonly way: EntraWay;
  readonly scope: string;
  /** Null: the public cloud, or AZURE_AUTHORITY_HOST. */
  readonly authorityHost: string | null;
}

const REQUEST_MS = 15_000;
/** With all retries; an identity endpoint may be updated for 70 seconds. */
const WHOLE_MS = 100_000;
const RETRIES = { retryDelayInMs: 500, maxRetryDelayInMs: 5000 };

type Sdk = typeof Identity & typeof Pipeline;

async function loadSdk(): Promise<Sdk> {
  try {
    const parts = [import('@azure/identity'), import('@azure/core-rest-pipeline')] as const;
    const [identity, pipeline] = await Promise.all(parts);
    return { ...identity, ...pipeline };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new ForebayError('capability_missing', {
      message:
        'Authentication with Microsoft Entra ID needs the package @azure/identity, which is not installed',
      fix: 'npm install @azure/identity @azure/core-rest-pipeline, where forebay is installed (47 MB).',
      cause: error,
    });
  }
}

/** One request for a token: its end, and what last came over the network for it. */
interface Asking {
  readonly signal: AbortSignal;
  answer: Answer;
}

const asking = new AsyncLocalStorage<Asking>();

/**
 * Gives every request a time limit, ends it with the signal, which MSAL takes no note of, and notes what came. The
 * library keeps the first client that a managed identity had for all later ones, so that none may belong to one request.
 */
function observedClient(inner: Pipeline.HttpClient): Pipeline.HttpClient {
  return {
    sendRequest: async (request) => {
      const current = asking.getStore();
      if (current === undefined) return await inner.sendRequest(request);
      const { host } = new URL(request.url);
      request.timeout = REQUEST_MS;
      request.abortSignal = current.signal;
      try {
        const response = await inner.sendRequest(request);
        const { status, bodyAsText } = response;
        current.answer = { kind: 'answered', host, status, body: bodyAsText ?? '' };
        return response;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        const why = typeof code === 'string' ? code : `no answer within ${REQUEST_MS / 1000} s`;
        current.answer = { kind: 'unreachable', host, why };
        throw error;
      }
    },
  };
}

function readApplicationCertificate(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw unreadable('client certificate', file, error);
  }
  const pem = { path: file, bytes };
  checkKeyPair({ certificate: pem, key: pem, passphrase: null }, Date.now());
  return bytes.toString('utf8');
}

/** Kubernetes puts the token there, and a new one before it ends. */
function federatedTokenFile(): string {
  const file = process.env['AZURE_FEDERATED_TOKEN_FILE'];
  const fix =
    'Label the pod azure.workload.identity/use: "true" and give it a service account with the client id.';
  if (file === undefined || file === '') {
    throw new ForebayError('token_not_issued', {
      message: 'There is no workload identity here: AZURE_FEDERATED_TOKEN_FILE is not set',
      fix,
    });
  }
  try {
    if (readFileSync(file, 'utf8').trim() !== '') return file;
  } catch (error) {
    throw new ForebayError('token_not_issued', {
      message: `The token of the workload identity, ${file}, cannot be read`,
      why: error instanceof Error && 'code' in error ? String(error.code) : 'unknown',
      fix,
      cause: error,
    });
  }
  throw new ForebayError('token_not_issued', {
    message: `The token of the workload identity, ${file}, is empty`,
    fix,
  });
}

function credentialOf(
  { way, authorityHost }: EntraIdentity,
  sdk: Sdk,
  httpClient: Pipeline.HttpClient,
): Identity.TokenCredential {
  const options = {
    httpClient,
    retryOptions: RETRIES,
    // A host that was written down on purpose needs nobody's word that it is one, least of all another cloud's.
    ...(authorityHost === null ? {} : { authorityHost, disableInstanceDiscovery: true }),
  };
  switch (way.kind) {
    case 'client-secret':
      return new sdk.ClientSecretCredential(
        way.tenantId,
        way.clientId,
        way.secret.reveal(),
        options,
      );
    case 'client-certificate': {
      const certificate = readApplicationCertificate(way.file);
      return new sdk.ClientCertificateCredential(
        way.tenantId,
        way.clientId,
        { certificate },
        options,
      );
    }
    case 'workload-identity':
      return new sdk.WorkloadIdentityCredential({
        ...options,
        tenantId: way.tenantId,
        clientId: way.clientId,
        tokenFilePath: federatedTokenFile(),
      });
    case 'managed-identity':
      return new sdk.ManagedIdentityCredential({
        httpClient,
        retryOptions: RETRIES,
        ...(way.clientId === null ? {} : { clientId: way.clientId }),
      });
  }
}

async function ask(identity: EntraIdentity, current: Asking): Promise<AccessToken> {
  const sdk = await loadSdk();
  try {
    const client = observedClient(sdk.createDefaultHttpClient());
    // Made anew each time: files that were renewed are read, and a refusal is not remembered for the next request.
    const answer = await credentialOf(identity, sdk, client).getToken(identity.scope);
    if (answer !== null) {
      return { token: new Secret(answer.token), expiresAtMs: answer.expiresOnTimestamp };
    }
    throw new TypeError('the answer holds no token');
  } catch (error) {
    if (error instanceof ForebayError) throw error;
    const secret = identity.way.kind === 'client-secret' ? identity.way.secret.reveal() : null;
    throw entraFailure(current.answer, error, secret);
  }
}

/** Asks once, with the retries of the library; failures are `token_not_issued` or `token_unavailable`. */
export function entraTokens(identity: EntraIdentity): TokenRequest {
  return (signal) => {
    const whole = AbortSignal.any([signal, AbortSignal.timeout(WHOLE_MS)]);
    const current: Asking = { signal: whole, answer: { kind: 'none' } };
    return asking.run(current, () => ask(identity, current));
  };
}
