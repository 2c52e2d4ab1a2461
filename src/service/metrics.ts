/** Metrics of the streams, for Prometheus to scrape and, where the environment names a collector, sent by OTLP. */
import type { Attributes, ObservableResult } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics';
import { asForebayError } from '../core/errors.ts';
import type { StreamHealth } from './health.ts';
import type { StreamCondition } from './stream-state.ts';

const CONDITIONS = [
  'starting',
  'snapshot',
  'streaming',
  'retrying',
  'paused',
  'failed',
  'stopped',
  'disabled',
] as const satisfies readonly StreamCondition[];

export interface MetricsSource {
  readonly streams: () => readonly StreamHealth[];
  readonly reloads: () => { readonly applied: number; readonly rejected: number };
  readonly loadedAt: () => string;
}

interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly description: string;
  readonly unit?: string;
  readonly read: (
    source: MetricsSource,
    tell: (value: number, attributes?: Attributes) => void,
  ) => void;
}

type PerStream = (
  stream: StreamHealth,
  tell: (value: number, attributes?: Attributes) => void,
) => void;

function perStream(read: PerStream): Metric['read'] {
  return (source, tell) => {
    for (const stream of source.streams()) {
      read(stream, (value, attributes) => tell(value, { stream: stream.id, ...attributes }));
    }
  };
}

function seconds(iso: string | null | undefined): number | null {
  return iso == null ? null : Date.parse(iso) / 1000;
}

const METRICS: readonly Metric[] = [
  {
    name: 'forebay_stream_events_total',
    kind: 'counter',
    description: 'Events that have come to their end, by how they ended.',
    read: perStream(({ counts }, tell) => {
      tell(counts.completed, { outcome: 'completed' });
      tell(counts.filtered, { outcome: 'filtered' });
      tell(counts.deadLettered, { outcome: 'dead_lettered' });
    }),
  },
  {
    name: 'forebay_stream_received_total',
    kind: 'counter',
    description: 'Events read from the source.',
    read: perStream(({ counts }, tell) => tell(counts.received)),
  },
  {
    name: 'forebay_stream_events_in_hand',
    kind: 'gauge',
    description: 'Events that are on their way, by state.',
    read: perStream(({ counts }, tell) => {
      tell(counts.transforming, { state: 'transforming' });
      tell(counts.writing, { state: 'writing' });
      tell(counts.retrying, { state: 'retrying' });
    }),
  },
  {
    name: 'forebay_stream_lag_seconds',
    kind: 'gauge',
    description: 'How far the destination is behind the source.',
    unit: 's',
    read: perStream(({ facts }, tell) => {
      if (facts?.lagMs != null) tell(facts.lagMs / 1000);
    }),
  },
  {
    name: 'forebay_stream_lag_bytes',
    kind: 'gauge',
    description: "Bytes of the source's log that are not applied yet.",
    unit: 'By',
    read: perStream(({ facts }, tell) => {
      if (facts?.lagBytes != null) tell(facts.lagBytes);
    }),
  },
  {
    name: 'forebay_stream_state',
    kind: 'gauge',
    description: '1 for the state that the stream is in, 0 for the others.',
    read: perStream(({ facts }, tell) => {
      const now = facts?.condition ?? 'disabled';
      for (const state of CONDITIONS) tell(state === now ? 1 : 0, { state });
    }),
  },
  {
    name: 'forebay_stream_paused_tables',
    kind: 'gauge',
    description: 'Tables of the stream that are set aside.',
    read: perStream(({ facts }, tell) => tell(facts?.pausedTables.length ?? 0)),
  },
  {
    name: 'forebay_stream_retries_total',
    kind: 'counter',
    description: 'Attempts that broke off.',
    read: perStream(({ counts }, tell) => tell(counts.retries)),
  },
  {
    name: 'forebay_stream_last_commit_timestamp_seconds',
    kind: 'gauge',
    description: 'When the last checkpoint was committed, in seconds since 1970.',
    unit: 's',
    read: perStream(({ facts }, tell) => {
      const at = seconds(facts?.committedAt);
      if (at !== null) tell(at);
    }),
  },
  {
    name: 'forebay_configuration_reloads_total',
    kind: 'counter',
    description: 'Edits of the configuration file, by what became of them.',
    read: (source, tell) => {
      const { applied, rejected } = source.reloads();
      tell(applied, { result: 'applied' });
      tell(rejected, { result: 'rejected' });
    },
  },
  {
    name: 'forebay_configuration_loaded_timestamp_seconds',
    kind: 'gauge',
    description: 'When the configuration in use was loaded, in seconds since 1970.',
    unit: 's',
    read: (source, tell) => {
      const at = seconds(source.loadedAt());
      if (at !== null) tell(at);
    },
  },
  {
    name: 'forebay_process_resident_memory_bytes',
    kind: 'gauge',
    description: 'Memory of the process.',
    unit: 'By',
    read: (_source, tell) => tell(process.memoryUsage.rss()),
  },
];

function register(provider: MeterProvider, source: MetricsSource): void {
  const meter = provider.getMeter('forebay');
  for (const { name, kind, description, unit, read } of METRICS) {
    const options = { description, ...(unit === undefined ? {} : { unit }) };
    const instrument =
      kind === 'counter'
        ? meter.createObservableCounter(name, options)
        : meter.createObservableGauge(name, options);
    instrument.addCallback((result: ObservableResult) => {
      read(source, (value, attributes) => result.observe(value, attributes));
    });
  }
}

/** Null unless the environment names a collector, by OpenTelemetry's own variables. */
async function otlpReader(): Promise<MetricReader | null> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: own } =
    process.env;
  if ((all ?? own ?? '') === '') return null;
  const [{ OTLPMetricExporter }, sdk] = await Promise.all([
    import('@opentelemetry/exporter-metrics-otlp-http'),
    import('@opentelemetry/sdk-metrics'),
  ]);
  const exporter = new OTLPMetricExporter();
  const { CUMULATIVE, DELTA } = sdk.AggregationTemporality;
  return new sdk.PeriodicExportingMetricReader({
    exporter: {
      export: (metrics, done) => exporter.export(metrics, done),
      forceFlush: () => exporter.forceFlush(),
      shutdown: () => exporter.shutdown(),
      // Cumulative gauges would go on being sent for streams that are gone.
      selectAggregationTemporality: (kind) =>
        kind === sdk.InstrumentType.OBSERVABLE_GAUGE ? DELTA : CUMULATIVE,
    },
  });
}

export class Metrics implements AsyncDisposable {
  readonly #source: MetricsSource;
  /** Of the collector; null where there is none. */
  readonly #provider: MeterProvider | null;
  readonly #serializer = new PrometheusSerializer('', false, undefined, true, true);

  private constructor(source: MetricsSource, provider: MeterProvider | null) {
    this.#source = source;
    this.#provider = provider;
  }

  static async open(source: MetricsSource): Promise<Metrics> {
    const reader = await otlpReader();
    if (reader === null) return new Metrics(source, null);
    const provider = new MeterProvider({ readers: [reader] });
    register(provider, source);
    return new Metrics(source, provider);
  }

  /**
   * In Prometheus' text format. Read by instruments of its own each time: those that stay repeat for ever what they
   * once told of a stream, also when it is gone or its lag is not known.
   */
  async text(): Promise<string> {
    const exporter = new PrometheusExporter({ preventServerStart: true });
    const provider = new MeterProvider({ readers: [exporter] });
    register(provider, this.#source);
    const { resourceMetrics, errors } = await exporter.collect();
    await provider.shutdown();
    if (errors.length > 0) throw asForebayError(errors[0]);
    return this.#serializer.serialize(resourceMetrics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#provider?.shutdown();
  }
}
