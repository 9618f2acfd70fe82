// Redeliveries that contradict the first delivery: found, kept with their body (at most 20 distinct ones for an id), counted and listed.
import { createHash } from 'node:crypto'
import type { Conflict, PageQuery } from '@sluice/contracts'
import { atomically, type Database } from '../platform/database.ts'
import { textArray } from '../platform/text-array.ts'
import type { DeliveredTransaction, RecorderDeps } from './record.ts'

const BODIES_PER_ID_MAX = 20

/** What the first delivery of an id said, and which request it was. */
interface Stored {
  requestId: string
  contractText: string
}

export async function readStored(
  db: Database,
  deliveries: readonly DeliveredTransaction[],
): Promise<Map<string, Stored>> {
  const { rows } = await db.batch({
    name: 'stored-transactions',
    text: `
      SELECT transaction_id, request_id, source_account, destination_account, amount::text, currency
      FROM transactions WHERE transaction_id = ANY($1::text[])`,
    values: [textArray(deliveries, (delivery) => delivery.transaction_id)],
  })
  return new Map(
    (rows as Array<[string, string, string, string, string, string]>).map(
      ([id, requestId, source, destination, amount, currency]) => [
        id,
        { requestId, contractText: contractText(source, destination, Number(amount), currency) },
      ],
    ),
  )
}

/** Whether the contract fields, as parsed values, differ from what is stored. */
export const isConflict = (delivery: DeliveredTransaction, stored: ReadonlyMap<string, Stored>) =>
  stored.get(delivery.transaction_id)?.contractText !== contractTextOf(delivery)

/** Stores each distinct differing body once and counts how often it came; one answer for each of them. */
export async function recordConflicts(
  { db, log }: Pick<RecorderDeps, 'db' | 'log'>,
  conflicts: readonly DeliveredTransaction[],
): Promise<Array<'conflict'>> {
  const distinct = new Map<string, { delivery: DeliveredTransaction; bodyHash: string; deliveries: number }>()
  for (const delivery of conflicts) {
    const bodyHash = createHash('sha256').update(contractTextOf(delivery)).digest('hex')
    const key = `${bodyHash}${delivery.transaction_id}`
    const known = distinct.get(key)
    if (known === undefined) distinct.set(key, { delivery, bodyHash, deliveries: 1 })
    else known.deliveries++
  }
  const rows = [...distinct.values()]
  await atomically(db, async (tx) => {
    await tx.$executeRaw`SET LOCAL lock_timeout = '300ms'`
    // The first deliveries' rows are locked, in order, so that nobody adds bodies of the same ids while we count them.
    await tx.$queryRaw`
      SELECT transaction_id FROM transactions WHERE transaction_id = ANY(${rows.map((row) => row.delivery.transaction_id)}::text[])
      ORDER BY transaction_id FOR UPDATE`
    await tx.$executeRaw`
      INSERT INTO transaction_conflicts (transaction_id, body_hash, payload, request_id, deliveries)
      SELECT id, body_hash, payload, request_id, deliveries FROM (
        SELECT t.*, known.hashes, t.body_hash = ANY(known.hashes) AS is_known,
          row_number() OVER (PARTITION BY t.id, t.body_hash = ANY(known.hashes) ORDER BY t.body_hash) AS nth
        FROM unnest(
          ${rows.map((row) => row.delivery.transaction_id)}::text[], ${rows.map((row) => row.bodyHash)}::text[],
          ${rows.map((row) => row.delivery.payload.toString())}::text[], ${rows.map((row) => row.delivery.requestId)}::text[],
          ${rows.map((row) => row.deliveries)}::int[]
        ) AS t(id, body_hash, payload, request_id, deliveries)
        CROSS JOIN LATERAL (
          SELECT coalesce(array_agg(c.body_hash), '{}') AS hashes FROM transaction_conflicts c WHERE c.transaction_id = t.id
        ) AS known
      ) AS candidates
      WHERE is_known OR cardinality(hashes) + nth <= ${BODIES_PER_ID_MAX}
      ON CONFLICT (transaction_id, body_hash) DO UPDATE
      SET deliveries = transaction_conflicts.deliveries + excluded.deliveries, last_seen_at = now()`
  })
  for (const { delivery, deliveries } of rows) {
    log.warn(
      { transactionId: delivery.transaction_id, requestId: delivery.requestId, deliveries },
      'a redelivery contradicts the first delivery',
    )
  }
  return conflicts.map(() => 'conflict' as const)
}

/** A page of conflicts, latest first. */
export async function listTransactionConflicts(
  db: Database,
  page: PageQuery,
): Promise<{ data: Conflict[]; total: number }> {
  const [rows, total] = await Promise.all([
    db.prisma.transactionConflict.findMany({
      orderBy: [{ lastSeenAt: 'desc' }, { transactionId: 'asc' }, { bodyHash: 'asc' }],
      take: page.limit,
      skip: page.offset,
    }),
    db.prisma.transactionConflict.count(),
  ])
  const data = rows.map((row) => ({
    kind: 'transaction' as const,
    id: row.transactionId,
    deliveries: row.deliveries,
    first_seen_at: row.firstSeenAt.toISOString(),
    last_seen_at: row.lastSeenAt.toISOString(),
    payload: row.payload,
  }))
  return { data, total }
}

const contractText = (...values: unknown[]) => JSON.stringify(values)

const contractTextOf = (delivery: DeliveredTransaction) =>
  contractText(delivery.source_account, delivery.destination_account, delivery.amount, delivery.currency)
