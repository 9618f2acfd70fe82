// A Prometheus histogram of request durations that is cheap enough for every request.
//
// prom-client's own histogram hashes the labels at every observation, which costs more than all other metrics together.
import type { Metric, MetricValueWithName, Registry } from 'prom-client'

export interface DurationHistogram {
  /** Counts a request's duration. */
  observe: (method: string, route: string, status: number, seconds: number) => void
}

interface Series {
  labels: Record<string, string>
  /** Durations up to each bound and above the previous one; the last count is of durations above all bounds. */
  counts: number[]
  sumSeconds: number
}

/** `bounds` are the buckets' upper bounds in seconds, ascending. */
export function createDurationHistogram(
  { name, help, bounds }: { name: string; help: string; bounds: readonly number[] },
  registry: Registry,
): DurationHistogram {
  const all: Series[] = []
  // Nested maps: a joined key would be a new string for each request.
  const known = new Map<string, Map<string, Map<number, Series>>>()

  function seriesOf(method: string, route: string, status: number): Series {
    const kept = known.get(route)?.get(method)?.get(status)
    if (kept !== undefined) return kept
    const labels = { method, route, status: String(status) }
    const series: Series = { labels, counts: new Array(bounds.length + 1).fill(0), sumSeconds: 0 }
    all.push(series)
    const ofRoute = known.get(route) ?? new Map<string, Map<number, Series>>()
    const ofMethod = ofRoute.get(method) ?? new Map<number, Series>()
    known.set(route, ofRoute.set(method, ofMethod.set(status, series)))
    return series
  }

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

  // A registry needs these members only; prom-client's types name its own classes.
  const metric = {
    name,
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: all.flatMap(valuesOf) }),
  }
  registry.registerMetric(metric as unknown as Metric)
  return {
    observe(method, route, status, seconds) {
      const series = seriesOf(method, route, status)
      let i = 0
      while (i < bounds.length && seconds > bounds[i]!) i++
      series.counts[i]!++
      series.sumSeconds += seconds
    },
  }
}
