// The table of routes, made from the routes.
import type { Route } from '../src/api/route.ts';

function anchor(text: string): string {
  return text.replaceAll('|', '\\|');
}

export function apiPage(routes: readonly Route[]): string {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const sections = tags.flatMap((tag) => [
    '',
    `## ${tag}`,
    '',
    '| method | path | permission | |',
    '|---|---|---|---|',
    ...routes
      .filter((route) => route.tag === tag)
      .map(
        ({ method, path, permission, summary }) =>
          `| ${method} | \`${path}\` | ${permission} | ${anchor(summary)} |`,
      ),
  ]);
  return [
    '# API reference',
    '',
    '<!-- Made by `npm run docs` from src/api/routes. -->',
    '',
    'What holds for all of them: [the API](api.md). Schemas of all bodies: [openapi.json](../schema/openapi.json),',
    'which a server also answers at `/openapi.json`; `/docs` shows the same for reading.',
    ...sections,
    '',
  ].join('\n');
}
