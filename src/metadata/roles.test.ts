import { expect, it } from 'vitest';
import { isAtLeast, lesserRole } from './roles.ts';

const roles = ['viewer', 'operator', 'editor', 'admin'] as const;

it('each role may what those before it may, and no more', () => {
  for (const [rank, role] of roles.entries())
    for (const [needed, other] of roles.entries()) {
      expect(isAtLeast(role, other)).toBe(rank >= needed);
      expect(lesserRole(role, other)).toBe(roles[Math.min(rank, needed)]);
    }
});
