/** How a connection proves who it is. */
import { z } from 'zod';
import { identifier, meta, text } from './fields.ts';

const kind = (example: string) =>
  meta({ description: 'Which kind of credentials they are.', examples: [example] });

const id = identifier().meta(
  meta({
    description: 'By what `auth_id` names it.',
    examples: ['shop-reader'],
    rule: 'unique in `authentication`',
  }),
);

const path = (description: string, example: string) =>
  text.meta(
    meta({ description, examples: [example], rule: 'a readable file; relative to this file' }),
  );

const usernamePassword = z
  .strictObject({
    id,
    type: z.literal('username_password').meta(kind('username_password')),
    config: z
      .strictObject({
        username: text.meta(meta({ description: 'User to log in as.', examples: ['forebay'] })),
        password: text.meta(
          meta({ description: 'Its password.', examples: ['${env:SHOP_PASSWORD}'] }),
        ),
      })
      .meta({ description: 'User and password.' }),
  })
  .meta({ title: 'username_password', description: 'A user with a password.' });

const certificate = z
  .strictObject({
    id,
    type: z.literal('certificate').meta(kind('certificate')),
    config: z
      .strictObject({
        username: text.optional().meta(
          meta({
            description: 'User to log in as, where the system wants one.',
            examples: ['forebay'],
          }),
        ),
        cert_file: path('Client certificate, PEM.', 'certificates/client.crt'),
        key_file: path('Its private key, PEM.', 'certificates/client.key'),
        ca_file: path(
          "Certificates that the server's is checked against, PEM; left out, those the system trusts.",
          'certificates/ca.crt',
        ).optional(),
        passphrase: text.optional().meta(
          meta({
            description: 'Passphrase of the private key.',
            examples: ['${file:secrets/passphrase}'],
          }),
        ),
      })
      .meta({ description: 'Certificate and key.' }),
  })
  .meta({ title: 'certificate', description: 'A client certificate.' });

const azureEntra = z
  .strictObject({
    id,
    type: z.literal('azure_entra').meta(kind('azure_entra')),
    config: z
      .strictObject({
        tenant_id: text.optional().meta(
          meta({
            description: 'Tenant of the application.',
            examples: ['${env:AZURE_TENANT_ID}'],
            rule: 'required unless `managed_identity` is true',
          }),
        ),
        client_id: text.optional().meta(
          meta({
            description: 'Application, or the user-assigned managed identity.',
            examples: ['${env:AZURE_CLIENT_ID}'],
            rule: 'required unless `managed_identity` is true',
          }),
        ),
        client_secret: text.optional().meta(
          meta({
            description: "The application's secret.",
            examples: ['${env:AZURE_CLIENT_SECRET}'],
            rule: 'exactly one of the four ways',
          }),
        ),
        client_certificate: path(
          "The application's certificate with its key, PEM.",
          'certificates/application.pem',
        ).optional(),
        managed_identity: z
          .boolean()
          .optional()
          .meta(
            meta({
              description: 'Use the identity of the machine this runs on.',
              examples: [true],
              rule: 'exactly one of the four ways',
            }),
          ),
        workload_identity: z
          .boolean()
          .optional()
          .meta(
            meta({
              description: 'Use the federated token of the Kubernetes service account.',
              examples: [true],
              rule: 'exactly one of the four ways',
            }),
          ),
        scope: text.optional().meta(
          meta({
            description: 'What the token is for; left out, what the system asks for.',
            examples: ['https://ossrdbms-aad.database.windows.net/.default'],
          }),
        ),
        authority_host: text.optional().meta(
          meta({
            description: 'Where tokens are issued; left out, the public cloud.',
            examples: ['https://login.microsoftonline.us'],
            rule: 'an https URL',
          }),
        ),
      })
      .meta({
        description:
          'The application and one of `client_secret`, `client_certificate`, `managed_identity`, `workload_identity`.',
      }),
  })
  .meta({ title: 'azure_entra', description: 'A token of Microsoft Entra ID.' });

export const authenticationSchema = z.discriminatedUnion('type', [
  usernamePassword,
  certificate,
  azureEntra,
]);

export type Authentication = z.output<typeof authenticationSchema>;
