/** The description of the API itself. */
import { DOCS_POLICY, docsPage } from '../docs-page.ts';
import { openApiDocument } from '../openapi.ts';
import { openRoute, type Route } from '../route.ts';

const JSON_TYPE = 'application/json';
const HTML = 'text/html; charset=utf-8';

/** Made at the first request and kept: the routes of a process do not change. */
export function referenceRoutes(all: () => readonly Route[]): readonly Route[] {
  let document: string | null = null;
  let page: string | null = null;
  return [
    openRoute({
      method: 'GET',
      path: '/openapi.json',
      operation: 'getOpenApi',
      summary: 'This description, OpenAPI 3.1.',
      tag: 'Reference',
      replies: { 200: JSON_TYPE },
      handle: () => {
        document ??= JSON.stringify(openApiDocument(all()));
        return Promise.resolve({ status: 200, text: { type: JSON_TYPE, content: document } });
      },
    }),
    openRoute({
      method: 'GET',
      path: '/docs',
      operation: 'getDocs',
      summary: 'The reference for people.',
      tag: 'Reference',
      replies: { 200: HTML },
      handle: () => {
        page ??= docsPage(all());
        const headers = { 'content-security-policy': DOCS_POLICY };
        return Promise.resolve({ status: 200, headers, text: { type: HTML, content: page } });
      },
    }),
  ];
}
