// Queue depth and age, read at each scrape.
import type { Database } from './database.ts'
import type { Metrics } from './metrics.ts'
import type { Queueing } from './queue.ts'
import type { WorkTable } from './work-table.ts'

/** Sets the gauges. A gauge that cannot be read keeps its last value: a scrape never fails with Redis or PostgreSQL. */
export async function gaugeWork(
  { db, queueing, metrics }: { db: Database; queueing: Queueing; metrics: Metrics },
  tables: readonly WorkTable[],
): Promise<void> {
  await Promise.all(
    tables.flatMap((table) => [
      gaugeQueue(queueing, metrics, table).catch(() => {}),
      gaugeOverdue(db, metrics, table).catch(() => {}),
    ]),
  )
}

async function gaugeQueue(queueing: Queueing, metrics: Metrics, { job }: WorkTable): Promise<void> {
  for (const [state, count] of Object.entries(await queueing.counts(job))) {
    metrics.queueJobs.set({ queue: job.queue, state }, count)
  }
}

async function gaugeOverdue(
  db: Database,
  metrics: Metrics,
  { kind, table, dueColumn, doneColumn, openWhen = `${doneColumn} IS NULL` }: WorkTable,
): Promise<void> {
  const { rows } = await db.batch({
    text: `SELECT greatest(0, extract(epoch FROM now() - min(${dueColumn})))::float8 FROM ${table} WHERE ${openWhen}`,
    values: [],
  })
  metrics.oldestOverdue.set({ kind }, (rows[0]?.[0] as number | null) ?? 0)
}
