/** Codes of the control plane: metadata, orchestration and API. Part of the one table in `error-table.ts`. */
import { entry, type ErrorEntry } from './error-entry.ts';

export const CONTROL_ERRORS = {
  metadata_newer: entry('config', 1, 500, [
    'The metadata database belongs to a newer release.',
    'Run that release, or restore the backup from before the upgrade.',
  ]),
  metadata_unreadable: entry('bug', 1, 500, [
    'The metadata file cannot be opened, or is damaged.',
    'Check the path, its permissions and the disk; restore the file from a backup if it is damaged.',
  ]),
  metadata_full: entry('transient', 75, 507, [
    'The disk of the metadata is full.',
    'Free space: executions then go on by themselves, and what was refused can be sent again.',
  ]),
  metadata_unreachable: entry('transient', 75, 503, [
    'The metadata database does not answer.',
    'Check FOREBAY_DATABASE_URL and that the server runs; what was asked for can be sent again.',
  ]),
  server_running: entry('config', 1, 409, [
    'Another server runs on this data folder.',
    'Stop it, or give this one another --data-dir.',
  ]),
  secret_key: entry('config', 1, 500, [
    'Stored secrets cannot be read with the key that is set.',
    'Set FOREBAY_SECRET_KEY or FOREBAY_SECRET_KEY_FILE to the key that they were stored with, or name that one in FOREBAY_SECRET_KEY_FORMER.',
  ]),
  unauthenticated: entry('auth', 4, 401, [
    'The request carries no token that is valid.',
    'Send `Authorization: Bearer <token>` with a token that has not expired.',
  ]),
  forbidden: entry('auth', 4, 403, [
    'The role of the token does not allow this.',
    'Use a token of a role that does; the API reference names it.',
  ]),
  setup_token: entry('auth', 4, 401, [
    'The setup token is wrong, used or expired.',
    'Take a new one with `forebay setup-token`.',
  ]),
  not_found: entry('config', 2, 404, [
    'There is no such thing in this organisation.',
    'Check the id.',
  ]),
  already_exists: entry('config', 2, 409, [
    'The name is taken.',
    'Choose another name, or change the one that is there.',
  ]),
  in_use: entry('config', 2, 409, ['Something else needs it.', 'Remove what needs it first.']),
  version_stale: entry('config', 2, 412, [
    'It was changed by somebody else since it was read.',
    'Read it again, and send the change with its new ETag.',
  ]),
  version_missing: entry('config', 2, 428, [
    'The request does not say which version it changes.',
    'Send the ETag that was read as If-Match.',
  ]),
  request_invalid: entry('config', 2, 400, [
    'The request is not as the API describes it.',
    'Correct the fields that `errors` names.',
  ]),
  request_unprocessable: entry('config', 2, 422, [
    'The request is well formed, and cannot be done as it is.',
    'See the message.',
  ]),
  idempotency_mismatch: entry('config', 2, 422, [
    'The Idempotency-Key was used for another request.',
    'Use a new key for a new request.',
  ]),
  method_not_allowed: entry('config', 2, 405, [
    'The address is there, and does not take this method.',
    'Use one of the methods that the header Allow names.',
  ]),
  body_too_large: entry('config', 2, 413, [
    'The body of the request is too large.',
    'Send less at once.',
  ]),
  media_type: entry('config', 2, 415, [
    'The body is not JSON.',
    'Send it with Content-Type: application/json.',
  ]),
  too_many_requests: entry('rate-limited', 75, 429, [
    'There were too many requests.',
    'Wait as long as Retry-After says.',
  ]),
  execution_waits: entry('config', 2, 409, [
    'An execution of the pipeline runs, and another one waits already.',
    'Wait for it, or cancel it.',
  ]),
  schedule_invalid: entry('config', 2, 400, [
    'The schedule cannot be read, or never comes.',
    'Write five or six cron fields, a known time zone, or an interval of a second or more.',
  ]),
  model_invalid: entry('config', 2, 400, [
    'A model cannot be read, or models depend on each other in a circle.',
    'Correct the file that the message names.',
  ]),
  model_failed: entry('data', 5, 422, [
    'A gold model could not be built, or a test of it failed.',
    'Correct the model or the data it reads; what it made before is still there.',
  ]),
  quality_failed: entry('data', 5, 422, [
    'Rows broke a quality rule with the action fail.',
    'Look at the failed rows, mend them at the source or change the rule.',
  ]),
  flow_diverged: entry('bug', 1, 500, [
    'A flow did something else than its journal tells.',
    'Report this with the step that the message names; the execution can be started anew.',
  ]),
  flow_payload: entry('config', 1, 413, [
    'Something that a flow hands on is too large, or is no JSON.',
    'Hand on a reference to it instead.',
  ]),
  flow_cancelled: entry('config', 130, 409, [
    'The execution was cancelled.',
    'Start it again if that was not meant.',
  ]),
  activity_timeout: entry('timeout', 75, 504, [
    'A step of an execution took longer than it may.',
    'Find out what it waits for, or give it more time.',
  ]),
  worker_stopping: entry('transient', 75, 503, [
    'The server that does the step is being stopped.',
    'Nothing needs to be done: the step is done by the next one.',
  ]),
  worker_lost: entry('transient', 75, 503, [
    'The server that did the step ended, or did not answer in time.',
    'Nothing needs to be done: the step is done by another one.',
  ]),
  workflow_exists: entry('config', 2, 409, [
    'A workflow of this id is open.',
    'Wait for it, or cancel it.',
  ]),
  orchestrator_unreachable: entry('transient', 75, 503, [
    'The Temporal cluster does not answer.',
    'Check FOREBAY_TEMPORAL_ADDRESS and that it runs.',
  ]),
  answer_unreadable: entry('config', 1, 502, [
    'What answered is no Forebay server, or one of another release.',
    'Check the address that --server, FOREBAY_SERVER or `forebay login` gave, and the release of both sides.',
  ]),
  file_outside_roots: entry('config', 3, 400, [
    'The file is outside of the folders that connections may use.',
    'Name a file within them, or have the operator of the server add its folder to file_roots.',
  ]),
  egress_refused: entry('config', 3, 400, [
    'The address is not one that may be connected to.',
    'Ask the operator of the server to allow it.',
  ]),
} as const satisfies Record<string, ErrorEntry>;
