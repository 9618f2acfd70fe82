// The statistics that benchmarks report: percentiles of a sample, medians of rounds, the trend of a series.

export type Summary = { count: number; p50: number; p99: number; max: number }

/** Nearest-rank percentile of an ascending sample; NaN for an empty one. `fraction` is 0…1. */
export function percentile(ascending: ArrayLike<number>, fraction: number): number {
  if (ascending.length === 0) return Number.NaN
  const rank = Math.ceil(fraction * ascending.length)
  return ascending[Math.min(Math.max(rank, 1), ascending.length) - 1]!
}

/** Sorts a copy: a caller can append to its sample afterwards. */
export function summarize(sample: ArrayLike<number>): Summary {
  const ascending = Float64Array.from(sample).sort()
  return {
    count: ascending.length,
    p50: percentile(ascending, 0.5),
    p99: percentile(ascending, 0.99),
    max: percentile(ascending, 1),
  }
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const ascending = [...values].sort((a, b) => a - b)
  const middle = ascending.length >> 1
  return ascending.length % 2 === 1 ? ascending[middle]! : (ascending[middle - 1]! + ascending[middle]!) / 2
}

/** The median of each column. */
export const medians = (rows: readonly (readonly number[])[]): number[] =>
  (rows[0] ?? []).map((_, column) => median(rows.map((row) => row[column]!)))

/** Least-squares slope of `y` over `x`: how much a backlog grows by the second; 0 for fewer than two points. */
export function slope(points: readonly { x: number; y: number }[]): number {
  if (points.length < 2) return 0
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length
  let covariance = 0
  let variance = 0
  for (const { x, y } of points) {
    covariance += (x - meanX) * (y - meanY)
    variance += (x - meanX) ** 2
  }
  return variance === 0 ? 0 : covariance / variance
}

/** A growing sample of numbers without boxing: one slot of a Float64Array for each. */
export class Sample {
  #values = new Float64Array(1 << 16)
  #length = 0

  add(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  summary(): Summary {
    return summarize(this.#values.subarray(0, this.#length))
  }
}
