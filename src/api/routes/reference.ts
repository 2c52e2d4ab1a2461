/** The description of the API itself. */
import { DOCS_POLICY, docsPage } from '../docs-page.ts';
import { openApiDocument } from '../openapi.ts';
import { openRoute, type Route } from '../route.ts';
import { z } from 'zod';

const HTML = 'text/html; charset=utf-8';

/** Made at the first request and kept: the routes of a process do not change. */
export function referenceRoutes(all: () => readonly Route[]): readonly Route[] {
  let document: Record<string, unknown> | null = null;
  let page: string | null = null;
  return [
    openRoute({
      method: 'GET',
      path: '/openapi.json',
      operation: 'getOpenApi',
      summary: 'This description, OpenAPI 3.1.',
      tag: 'Reference',
      replies: { 200: z.record(z.string(), z.unknown()) },
      handle: () => {
        document ??= openApiDocument(all());
        return Promise.resolve({ status: 200, body: document });
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
