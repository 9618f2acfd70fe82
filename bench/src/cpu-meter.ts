// What a load costs in CPU, by process.
import type { LoadResult } from './load/plan.ts'
import { cpuSeconds, cpuSecondsWithChildren } from './process-stats.ts'

const cpuParts = ['server', 'worker', 'postgres', 'generator'] as const
/** Seconds. */
export type Cpu = Record<(typeof cpuParts)[number], number>

/** Starts counting. The returned function stops, and adds the generator's own count. */
export function cpuMeter(pids: {
  server: number
  worker?: number
  postgres?: number
}): (load: Pick<LoadResult, 'generatorCpuSeconds'>) => Cpu {
  const read = () => ({
    server: cpuSeconds(pids.server) ?? Number.NaN,
    worker: pids.worker === undefined ? 0 : (cpuSeconds(pids.worker) ?? Number.NaN),
    postgres: pids.postgres === undefined ? 0 : (cpuSecondsWithChildren(pids.postgres) ?? Number.NaN),
  })
  const before = read()
  return ({ generatorCpuSeconds }) => {
    const after = read()
    return {
      server: after.server - before.server,
      worker: after.worker - before.worker,
      postgres: after.postgres - before.postgres,
      generator: generatorCpuSeconds,
    }
  }
}

/** Microseconds for each of `count` things, in the order of `cpuParts`. */
export const microsecondsEach = (cpu: Cpu, count: number): number[] =>
  cpuParts.map((part) => (cpu[part] * 1e6) / count)
