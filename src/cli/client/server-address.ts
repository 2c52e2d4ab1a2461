/** Which server is asked, and as whom. */
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { SessionFile } from './session-file.ts';

const USUAL = 'http://127.0.0.1:8004';
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

function refused(text: string, reason: string): ForebayError {
  return new ForebayError('usage', {
    message: `${JSON.stringify(text)} is no address of a server: ${reason}`,
    fix: 'Write it as https://forebay.example.org, or http://127.0.0.1:8004.',
  });
}

/** In the one form under which tokens are kept: without a slash at the end. */
export function readServerUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw refused(text, 'it is no URL');
  if (url.username !== '' || url.password !== '') {
    throw new ForebayError('usage', {
      message: 'The address of the server holds a user or a password',
      fix: 'Leave them out; the token comes from FOREBAY_TOKEN or `forebay login`.',
    });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused(text, 'it is neither http nor https');
  }
  if (url.search !== '' || url.hash !== '') throw refused(text, 'it goes on after the path');
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Whether what is sent can be read on the way. */
export function isOpenToOthers(server: string): boolean {
  const { protocol, hostname } = new URL(server);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}

export interface Target {
  readonly server: string;
  readonly token: Secret | null;
}

interface Sources {
  readonly option: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sessions: () => SessionFile;
}

const given = (text: string | undefined): string | null =>
  text === undefined || text === '' ? null : text;

/** A token that was kept goes to the server that gave it and to no other. */
export function chooseTarget({ option, environment, sessions }: Sources): Target {
  const named = given(option) ?? given(environment['FOREBAY_SERVER']);
  const token = given(environment['FOREBAY_TOKEN']);
  if (named !== null && token !== null) {
    return { server: readServerUrl(named), token: new Secret(token) };
  }
  const kept = sessions();
  const server = readServerUrl(named ?? kept.current ?? USUAL);
  const text = token ?? kept.servers[server]?.token ?? null;
  return { server, token: text === null ? null : new Secret(text) };
}
