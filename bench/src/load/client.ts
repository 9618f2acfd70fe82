// The benchmark's side of the load generator: starts its process and hands it plans.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { startChild } from '../child.ts'
import type { Janitor } from '../janitor.ts'
import type { GeneratorReply, LoadPlan, LoadResult } from './plan.ts'

export type LoadGenerator = { run(plan: LoadPlan): Promise<LoadResult> }

/** Who makes the load, because figures of different generators do not compare. */
export const generators = {
  closedLoop: `autocannon ${createRequire(import.meta.url)('autocannon/package.json').version}`,
  openLoop: 'our own',
}

export async function startLoadGenerator(janitor: Janitor): Promise<LoadGenerator> {
  const child = await startChild(janitor, { name: 'load generator', module: 'bench/dist/load/generator.js' })
  return {
    async run(plan) {
      child.process.send(plan)
      const [reply] = (await Promise.race([once(child.process, 'message'), child.died])) as [GeneratorReply]
      if (reply.type === 'done') return reply.result
      throw new Error(reply.type === 'failed' ? reply.message : `The load generator answered ${reply.type}`)
    },
  }
}
