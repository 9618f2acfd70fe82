// The duration histogram against prom-client's own.
import { Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createDurationHistogram } from './duration-histogram.ts'

test('its output equals that of prom-client’s own histogram', async () => {
  const bounds = [0.001, 0.01, 0.1]
  const seconds = [0.0005, 0.001, 0.002, 0.05, 0.1, 0.5, 7]
  const settings = { name: 'http_seconds', help: 'Durations' }
  const [ours, theirs] = [new Registry(), new Registry()]
  const histogram = new Histogram({
    ...settings,
    buckets: bounds,
    labelNames: ['method', 'route', 'status'],
    registers: [theirs],
  })
  const durations = createDurationHistogram({ ...settings, bounds }, ours)
  for (const route of ['/a', '/b']) {
    for (const value of seconds) {
      durations.observe('POST', route, 202, value)
      histogram.observe({ method: 'POST', route, status: '202' }, value)
    }
  }
  expect(await ours.metrics()).toBe(await theirs.metrics())
})
