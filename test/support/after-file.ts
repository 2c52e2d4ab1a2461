// After each file of tests, whatever became of them.
import { afterAll } from 'vitest';

import { releaseSlots } from './shared-servers.ts';

afterAll(releaseSlots);
