/** Whose rows a query may touch. */
declare const brand: unique symbol;

/** Made by `scopeOf` alone, so that no repository can be called without saying for which organisation. */
export interface OrganizationScope {
  readonly organizationId: string;
  readonly [brand]: true;
}

/** For who has proved to belong to the organisation, or acts for the system. */
export function scopeOf(organizationId: string): OrganizationScope {
  // The brand exists for the type checker only.
  return { organizationId } as OrganizationScope;
}
