/** From nothing to a first pipeline, in one request. */
import { z } from 'zod';
import { connectorTypeInput } from './connectors.ts';
import { identifierText, json, name } from './fields.ts';

const newConnection = z
  .strictObject({
    name,
    connector_type: connectorTypeInput,
    config: z
      .record(z.string().max(200), z.unknown())
      .meta({ description: 'Fields of the type, as `/api/v1/connectors` lists them.' }),
  })
  .meta({ id: 'NewConnection' });

export const onboardingInput = z
  .strictObject({
    source: newConnection,
    destination: newConnection,
    pipeline: name,
    streams: z
      .array(identifierText)
      .max(500)
      .default([])
      .meta({ description: 'Names or globs; left out, all that can be read.' }),
  })
  .meta({ id: 'OnboardingInput' });
export type OnboardingInput = z.output<typeof onboardingInput>;

export const onboardingSchema = z
  .object({
    workflow_id: z.string(),
    status: z.enum(['running', 'completed', 'failed', 'cancelled']),
    pipeline_id: z.string().nullable(),
    error: z.object({ code: z.string(), message: z.string(), fix: z.string() }).nullable(),
    steps: z
      .array(json)
      .meta({ description: 'What is under way: kind, name, attempt and when it is due.' }),
  })
  .meta({ id: 'Onboarding' });
export type Onboarding = z.output<typeof onboardingSchema>;
