export type Outcome =
  | { readonly kind: 'document'; readonly json: string }
  | { readonly kind: 'filtered' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };
export type DocumentTransform = (json: string) => Outcome;
