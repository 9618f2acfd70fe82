// A Prometheus histogram of durations for where there is one for each request: prom-client's own hashes the labels at every observation, which costs more than all else that is measured here.
import type { Metric, MetricValueWithName, Registry } from 'prom-client'

export interface DurationHistogram {
  /** A function to be kept: it counts one duration under these labels. */
  observerOf: (labels: Record<string, string>) => (seconds: number) => void
}

interface Series {
  labels: Record<string, string>
  /** Durations up to each bound and above the one before; the last one is of those above all. */
  counts: number[]
  sumSeconds: number
}

/** `bounds` are the buckets' upper bounds in seconds, ascending. */
export function createDurationHistogram(
  { name, help, bounds }: { name: string; help: string; bounds: readonly number[] },
  registry: Registry,
): DurationHistogram {
  const all: Series[] = []

  function valuesOf({ labels, counts, sumSeconds }: Series): Array<MetricValueWithName<string>> {
    let count = 0
    const buckets = [...bounds, '+Inf'].map((le, i) => {
      count += counts[i] ?? 0
      return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` }
    })
    return [
      ...buckets,
      { labels, value: sumSeconds, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ]
  }

  // What a registry asks of a metric; prom-client's types name its own classes only.
  const metric = {
    name,
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: all.flatMap(valuesOf) }),
  }
  registry.registerMetric(metric as unknown as Metric)
  return {
    observerOf(labels) {
      const series: Series = { labels, counts: new Array(bounds.length + 1).fill(0), sumSeconds: 0 }
      all.push(series)
      return (seconds) => {
        let i = 0
        while (i < bounds.length && seconds > bounds[i]!) i++
        series.counts[i]!++
        series.sumSeconds += seconds
      }
    },
  }
}
