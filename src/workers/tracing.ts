import type { OpenTelemetryPlugin } from '@temporalio/interceptors-opentelemetry';

export interface Tracing {
  /** for workers, and for the bundle of their workflows: both have to have it */
  plugin: OpenTelemetryPlugin;
  /** Sends what is left. */
  end(): Promise<void>;
}

/**
 * Runs and activities as spans, by Temporal's own plug-in, sent to an OTLP/HTTP endpoint as JSON. Loaded only where it is
 * asked for. A collector that is away costs spans, not runs.
 */
export async function traceTo(otlp: string): Promise<Tracing> {
  const [plugin, exporter, resources, spans, contexts] = await Promise.all([
    import('@temporalio/interceptors-opentelemetry'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/context-async-hooks'),
  ]);
  const url = `${otlp.replace(/\/$/, '')}/v1/traces`;
  const spanProcessor = new spans.BatchSpanProcessor(new exporter.OTLPTraceExporter({ url }));
  const resource = new resources.Resource({ 'service.name': 'holdfast' });
  const provider = new spans.BasicTracerProvider({ resource, spanProcessors: [spanProcessor] });
  // For the process: an activity finds the run it hangs below by the process's propagator and context.
  provider.register({ contextManager: new contexts.AsyncLocalStorageContextManager().enable() });
  return {
    plugin: new plugin.OpenTelemetryPlugin({ resource, spanProcessor }),
    end: () => provider.shutdown(),
  };
}
