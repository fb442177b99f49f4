import { createServer } from 'node:net';
import { Runtime, type TelemetryOptions } from '@temporalio/worker';
import { HoldfastError } from '../model/failure.ts';
import { METRICS, type MetricName, type Metrics } from '../model/metric.ts';

/**
 * Options of the SDK's runtime that answer Prometheus at `host:port`, the SDK's own metrics (`temporal_…`) with ours.
 * Throws InvalidConfiguration where nothing can listen there: the SDK itself would only say so in its log.
 */
export async function prometheusAt(listen: string): Promise<TelemetryOptions> {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(listen) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) throw cannotListen(listen, 'it is no host:port');
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', ({ code }: NodeJS.ErrnoException) => reject(cannotListen(listen, code ?? '')));
    probe.listen({ host, port: Number(port) }, () => probe.close(() => resolve()));
  });
  return {
    metrics: { prometheus: { bindAddress: listen, useSecondsForDurations: true, countersTotalSuffix: true } },
  };
}

function cannotListen(listen: string, why: string): HoldfastError {
  return new HoldfastError('InvalidConfiguration', `metrics cannot be served at ${listen} (${why})`, {
    hint: 'each worker of a machine needs a port of its own: metrics.listen in the configuration, or --metrics 127.0.0.1:9465',
  });
}

/** Ours, through the runtime of this process; nothing listens unless it was installed with {@link prometheusAt}. */
export function runtimeMetrics(): Metrics {
  const meter = Runtime.instance().metricMeter;
  const gauges = new Map<MetricName, ReturnType<typeof meter.createGauge>>();
  return {
    set(name, labels, value) {
      let gauge = gauges.get(name);
      if (gauge === undefined) {
        gauge = meter.createGauge(name, 'float', undefined, METRICS[name].help);
        gauges.set(name, gauge);
      }
      gauge.set(value, labels);
    },
  };
}
