/** The reference for people: one page, no scripts. Pure. */
import { createHash } from 'node:crypto';
import { ERROR_TABLE } from '../core/errors.ts';
import { failuresOf } from './openapi.ts';
import type { Route } from './route.ts';

const STYLE = [
  ':root{color-scheme:light dark}',
  'body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}',
  'h3{margin:2rem 0 .25rem;font-size:1rem}',
  'code,pre{font:.875rem/1.5 ui-monospace,monospace}',
  'pre{overflow:auto;padding:.75rem;border:1px solid;border-radius:.25rem}',
  'table{border-collapse:collapse;display:block;overflow:auto}',
  'td,th{border:1px solid;padding:.25rem .5rem;text-align:left;vertical-align:top}',
].join('');

/** Nothing but this page's own style is allowed. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256')
  .update(STYLE)
  .digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function codes(list: readonly string[]): string {
  return list.map((code) => `<a href="#error-${code}"><code>${code}</code></a>`).join(', ');
}

function routeSection(route: Route): string {
  const failures = [...failuresOf(route).values()].flat();
  const replies = Object.keys(route.replies).join(', ');
  const example =
    route.example === undefined
      ? ''
      : `<pre>${escape(JSON.stringify(route.example, null, 2))}</pre>`;
  return [
    `<section id="${route.operation}">`,
    `<h3><code>${route.method} ${escape(route.path)}</code></h3>`,
    `<p>${escape(route.summary)} Permission: ${route.permission}. Answers ${replies}.</p>`,
    example,
    `<p>May fail with ${codes(failures)}.</p>`,
    '</section>',
  ].join('\n');
}

function errorRows(): string {
  return Object.entries(ERROR_TABLE)
    .map(
      ([code, { http, class: errorClass, meaning, fix }]) =>
        `<tr id="error-${code}"><td><code>${code}</code></td><td>${http}</td><td>${errorClass}</td>` +
        `<td>${escape(meaning)}</td><td>${escape(fix)}</td></tr>`,
    )
    .join('\n');
}

export function docsPage(routes: readonly Route[]): string {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const sections = tags.flatMap((tag) => [
    `<h2>${escape(tag)}</h2>`,
    ...routes.filter((route) => route.tag === tag).map(routeSection),
  ]);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>Forebay API</title><style>${STYLE}</style></head>`,
    '<body>',
    '<h1>Forebay API</h1>',
    '<p>Schemas of all bodies: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
    ...sections,
    '<h2>Errors</h2>',
    '<table><tr><th>Code</th><th>Status</th><th>Class</th><th>Meaning</th><th>What to do</th></tr>',
    errorRows(),
    '</table>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}
