/** Events as all who are told of them get them: CloudEvents 1.0, in JSON, all in one document. Pure. */
import type { OutboxEvent } from '../../metadata/events-outbox.ts';

export const CLOUD_EVENT_TYPE = 'application/cloudevents+json; charset=utf-8';

export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: unknown;
}

export function toCloudEvent(row: OutboxEvent): CloudEvent {
  return {
    specversion: '1.0',
    id: row.event_id,
    source: `/organizations/${row.organization_id}`,
    type: row.type,
    subject: row.subject,
    time: row.created_at,
    datacontenttype: 'application/json',
    data: JSON.parse(row.data),
  };
}
