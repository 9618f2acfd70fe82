// Opens traces by OpenTelemetry; without an endpoint, none of its packages is loaded.
import type { Tracing, TracingOptions } from './tracing.ts'

export async function openTracing({ endpoint, ...options }: TracingOptions): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined
  const { startTracing } = await import('./open-telemetry.ts')
  return startTracing({ endpoint, ...options })
}
