// Starts the load generator in a process of its own and hands it plans.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { startChild } from '../child.ts'
import type { Janitor } from '../janitor.ts'
import type { GeneratorReply, LoadPlan, LoadResult } from './plan.ts'

export type LoadGenerator = { run(plan: LoadPlan): Promise<LoadResult> }

const require = createRequire(import.meta.url)
const named = (name: string) => `${name} ${require(`${name}/package.json`).version}`

/** The clients that make the load: figures of different clients do not compare. */
export const generators = { closedLoop: named('autocannon'), openLoop: named('undici') }

export async function startLoadGenerator(janitor: Janitor): Promise<LoadGenerator> {
  const child = await startChild(janitor, { name: 'load generator', module: 'bench/dist/load/generator.js' })
  return {
    async run(plan) {
      child.process.send(plan)
      const [reply] = (await Promise.race([once(child.process, 'message'), child.died])) as [GeneratorReply]
      if (reply.type === 'done') return reply.result
      throw new Error(reply.type === 'failed' ? reply.message : `The load generator replied ${reply.type}`)
    },
  }
}
