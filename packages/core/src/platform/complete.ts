// Completing work: a worker marks due rows as done, each once, in one guarded update for a group of them.
import type { Database, Statement } from './database.ts'
import { createGroupCommit } from './group-commit.ts'
import type { JobHandler } from './job.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { textArray } from './text-array.ts'
import type { Tracing } from './tracing.ts'
import type { WorkTable } from './work-table.ts'

export interface CompleterDeps {
  db: Database
  metrics: Metrics
  log: Logger
  tracing?: Tracing | undefined
}

/** `missing`: there is no such row (removed since). `not_due`: the job came too early, by this much. */
type CompletionOutcome =
  | { is: 'done'; requestId: string }
  | { is: 'already_done' | 'missing' }
  | { is: 'not_due'; forMs: number }

/** How a feature completes its rows, and what it writes in the same commit. */
export interface Completion {
  /**
   * SQL that marks the open and due rows among the ids `$1` as done, in order of id, so that two workers cannot
   * deadlock. Returns for each its id, its request id, and what `publish` needs. `$2` and on are `parameters`.
   */
  update: string
  /** Read before each commit. */
  parameters?: () => Promise<readonly unknown[]>
  /** Gets the rows of `update`; returns undefined when there is nothing to write. */
  publish: (rows: ReadonlyArray<readonly unknown[]>) => { insert: Statement; enqueue: () => void } | undefined
}

/** The handler of a job that completes a row, together with other rows that are due. A repetition changes nothing. */
export function createCompleter(deps: CompleterDeps, table: WorkTable, completion: Completion): JobHandler {
  const group = createGroupCommit<string, CompletionOutcome>({
    commit: (ids) => commitCompleted(deps, table, completion, ids),
    sizeBytes: (id) => id.length,
    rowsPerCommitMax: 500,
    bytesPerCommitMax: 1024 * 1024,
    waitingRowsMax: 20_000,
    waitingBytesMax: 16 * 1024 * 1024,
    concurrentCommitsMax: 2,
    deadlineMs: 10_000,
  })
  return async function complete(id) {
    const outcome = await group.submit(id)
    deps.metrics.jobs.inc({ queue: table.job.queue, outcome: outcome.is })
    if (outcome.is === 'done') deps.tracing?.nameRequest(outcome.requestId)
    return outcome.is === 'not_due' ? { snoozeMs: outcome.forMs } : undefined
  }
}

async function commitCompleted(
  deps: CompleterDeps,
  table: WorkTable,
  completion: Completion,
  ids: readonly string[],
): Promise<CompletionOutcome[]> {
  const startedAt = performance.now()
  const distinct = [...new Set(ids)]
  const requestIds = await markDone(deps.db, table, completion, distinct)
  const unmoved = distinct.filter((id) => !requestIds.has(id))
  const others = unmoved.length === 0 ? undefined : await readOutcomes(deps.db, table, unmoved)
  logCompleted(deps.log, table, requestIds, performance.now() - startedAt)
  return ids.map((id) => {
    const requestId = requestIds.get(id)
    if (requestId !== undefined) return { is: 'done', requestId }
    return others?.get(id) ?? { is: 'missing' }
  })
}

/** Marks the rows and writes what follows, in one commit. Returns the request ids of the rows it marked, by id. */
async function markDone(
  db: Database,
  { kind }: WorkTable,
  { update, parameters, publish }: Completion,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const statement = {
    name: `complete-${kind}`,
    text: update,
    values: [textArray(ids, (id) => id), ...((await parameters?.()) ?? [])],
  }
  let marked: unknown[][] = []
  let written: ReturnType<Completion['publish']>
  await db.lockThenWrite(statement, (rows) => {
    marked = rows
    written = publish(rows)
    return written === undefined ? [] : [written.insert]
  })
  written?.enqueue()
  return requestIdsOf(marked)
}

const requestIdsOf = (rows: ReadonlyArray<readonly unknown[]>) =>
  new Map(rows.map(([id, requestId]) => [id as string, requestId as string]))

/** Why these rows were not marked. */
async function readOutcomes(
  db: Database,
  { kind, table, idColumn, dueColumn, doneColumn }: WorkTable,
  ids: readonly string[],
): Promise<Map<string, CompletionOutcome>> {
  const { rows } = await db.batch({
    name: `not-completed-${kind}`,
    text: `
      SELECT ${idColumn}, ${doneColumn} IS NOT NULL,
             greatest(1, ceil(extract(epoch FROM ${dueColumn} - now()) * 1000))::float8
      FROM ${table} WHERE ${idColumn} = ANY($1::text[])`,
    values: [textArray(ids, (id) => id)],
  })
  return new Map(
    (rows as Array<[string, boolean, number]>).map(([id, isDone, notDueForMs]) => [
      id,
      isDone ? { is: 'already_done' } : { is: 'not_due', forMs: notDueForMs },
    ]),
  )
}

/** One line for each commit, which is the unit of work, with a sample of its requests. */
function logCompleted(
  log: Logger,
  { kind }: WorkTable,
  requestIds: ReadonlyMap<string, string>,
  durationMs: number,
): void {
  if (requestIds.size === 0) return
  // All ids on level debug, where single requests are followed; otherwise the first five.
  const sample = [...requestIds].slice(0, log.isLevelEnabled('debug') ? requestIds.size : 5)
  log.info(
    {
      kind,
      count: requestIds.size,
      ids: sample.map(([id]) => id),
      requestIds: sample.map(([, requestId]) => requestId),
      durationMs: Math.round(durationMs * 10) / 10,
    },
    'rows completed',
  )
}
