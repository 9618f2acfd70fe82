// The load generator's process: takes plans over IPC, posts, and replies with counts and latencies.
import { closedLoop } from './closed-loop.ts'
import { openLoop } from './open-loop.ts'
import type { GeneratorReply, LoadPlan, LoadResult } from './plan.ts'

function execute(plan: LoadPlan): Promise<LoadResult> {
  const { arrivals } = plan
  return arrivals.kind === 'closed' ? closedLoop(plan, arrivals) : openLoop(plan, arrivals)
}

const reply = (message: GeneratorReply) => process.send?.(message)

process.on('message', (plan: LoadPlan) => {
  execute(plan).then(
    (result) => reply({ type: 'done', result }),
    (error: Error) => reply({ type: 'failed', message: error.message }),
  )
})
process.on('SIGINT', () => {}) // Ctrl-C reaches the whole terminal group; the benchmark stops this process
process.on('disconnect', () => process.exit())
reply({ type: 'ready' })
