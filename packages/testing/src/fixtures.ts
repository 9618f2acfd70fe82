// Vitest's `test` with one running system for each vitest worker, shared by files that need no settings or counts of their own.
import { test as base, inject } from 'vitest'
import { startSystem } from './system.ts'

/**
 * `system` starts once in a vitest worker and ends with it. A test that uses it must choose ids and merchants of its own,
 * must not stop its processes, and must not depend on what other tests leave in the database or in the metrics.
 */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures this one needs.
export const test = base.extend('system', { scope: 'worker' }, async ({}, { onCleanup }) => {
  const system = await startSystem({ postgresUrl: inject('postgresUrl') })
  onCleanup(system.stop)
  return system
})
