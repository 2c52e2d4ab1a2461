/** A span for each batch that was committed, sent by OTLP where the environment names a collector. */
import type { Tracer } from '@opentelemetry/api';
import type { CommittedBatch } from '../engine/pipeline.ts';

export interface Traces extends AsyncDisposable {
  readonly batch: (stream: string, batch: CommittedBatch) => void;
}

const NO_TRACES: Traces = { batch: () => {}, [Symbol.asyncDispose]: async () => {} };

function span(tracer: Tracer, stream: string, batch: CommittedBatch): void {
  const { kind, stream: table, startedAtMs, rows, bytes, upTo } = batch;
  tracer
    .startSpan(`forebay.${kind}`, {
      startTime: startedAtMs,
      attributes: {
        'forebay.stream': stream,
        ...(table === null ? {} : { 'forebay.table': table }),
        'forebay.rows': rows,
        'forebay.bytes': bytes,
        [kind === 'chunk' ? 'forebay.chunk' : 'forebay.position']: upTo,
      },
    })
    .end();
}

export async function openTraces(): Promise<Traces> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own } = process.env;
  if ((all ?? own ?? '') === '') return NO_TRACES;
  const [{ OTLPTraceExporter }, { BatchSpanProcessor, TracerProvider }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/sdk-trace'),
  ]);
  const processor = new BatchSpanProcessor({ exporter: new OTLPTraceExporter() });
  const provider = new TracerProvider({ spanProcessors: [processor] });
  const tracer = provider.getTracer('forebay');
  return {
    batch: (stream, batch) => span(tracer, stream, batch),
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}
