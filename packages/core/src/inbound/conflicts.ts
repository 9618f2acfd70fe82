// Conflicts, for operators: contradicting bodies are stored (at most 20 distinct ones for an id), counted and listed.
import { createHash } from 'node:crypto'
import type { Conflict, PageQuery } from '@sluice/contracts'
import { Prisma } from '../generated/client.ts'
import type { Database, Statement } from '../platform/database.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import { textArray } from '../platform/text-array.ts'

export type ConflictKind = Conflict['kind']

/** A body that contradicts what is stored. */
export interface ConflictingBody {
  /** What it contradicts: a transaction, an event or a payment. */
  id: string
  /** Bodies are the same when these contract fields are. */
  contractText: string
  /** Names of the fields that contradict. */
  fields: readonly string[]
  payload: Buffer
  requestId: string
}

export interface DistinctBody extends ConflictingBody {
  bodyHash: string
  /** How often it came within one commit. */
  times: number
}

const BODIES_PER_ID_MAX = 20

/** Stores duplicates that differ from the first event of their id, in one commit. */
export async function recordConflicts(
  deps: { db: Database; metrics: Metrics; log: Logger },
  kind: ConflictKind,
  bodies: readonly ConflictingBody[],
): Promise<undefined[]> {
  const distinct = distinctBodies(bodies)
  // No other process may add bodies of the same ids while this one counts them.
  const lock = {
    name: 'lock-conflicts',
    text: `
      SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended($1 || ' ' || id, 0) AS key FROM unnest($2::text[]) AS id ORDER BY key
      ) AS keys`,
    values: [kind, textArray(distinct, (body) => body.id)],
  }
  await deps.db.lockThenWrite(lock, () => [insertConflicts(kind, distinct)])
  reportConflicts(deps, kind, distinct)
  return bodies.map(() => undefined)
}

/** Each differing body once, with how often it came. */
export function distinctBodies(bodies: readonly ConflictingBody[]): DistinctBody[] {
  const distinct = new Map<string, DistinctBody>()
  for (const body of bodies) {
    const bodyHash = createHash('sha256').update(body.contractText).digest('hex')
    const key = `${bodyHash}${body.id}`
    const known = distinct.get(key)
    if (known === undefined) distinct.set(key, { ...body, bodyHash, times: 1 })
    else known.times++
  }
  return [...distinct.values()]
}

/** The caller holds a lock that keeps other processes from adding bodies of these ids. */
export const insertConflicts = (kind: ConflictKind, bodies: readonly DistinctBody[]): Statement => ({
  name: 'insert-conflicts',
  text: `
    INSERT INTO conflicts (kind, id, body_hash, fields, payload, request_id, deliveries)
    SELECT $1, id, body_hash, string_to_array(fields, ','), payload, request_id, deliveries FROM (
      SELECT t.*, known.hashes, t.body_hash = ANY(known.hashes) AS is_known,
        row_number() OVER (PARTITION BY t.id, t.body_hash = ANY(known.hashes) ORDER BY t.body_hash) AS nth
      FROM (
        SELECT unnest($2::text[]) AS id, unnest($3::text[]) AS body_hash, unnest($4::text[]) AS fields,
               unnest($5::text[]) AS payload, unnest($6::text[]) AS request_id, unnest($7::text[])::int AS deliveries
      ) AS t
      CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(c.body_hash), '{}') AS hashes FROM conflicts c WHERE c.kind = $1 AND c.id = t.id
      ) AS known
    ) AS candidates
    WHERE is_known OR cardinality(hashes) + nth <= ${BODIES_PER_ID_MAX}
    ON CONFLICT (kind, id, body_hash) DO UPDATE
    SET deliveries = conflicts.deliveries + excluded.deliveries, last_seen_at = now()`,
  values: [
    kind,
    textArray(bodies, (body) => body.id),
    textArray(bodies, (body) => body.bodyHash),
    textArray(bodies, (body) => body.fields.join()),
    textArray(bodies, (body) => body.payload),
    textArray(bodies, (body) => body.requestId),
    textArray(bodies, (body) => String(body.times)),
  ],
})

const message: Record<ConflictKind, string> = {
  transaction: 'a duplicate contradicts the first event of its id',
  payment_event: 'a duplicate contradicts the first event of its id',
  payment: 'an event contradicts its payment',
}

/** In a log line of one commit. */
const BODIES_LOGGED_MAX = 5

/** Logs the stored conflicts in one line, and counts them. */
export function reportConflicts(
  { metrics, log }: { metrics: Metrics; log: Logger },
  kind: ConflictKind,
  bodies: readonly DistinctBody[],
): void {
  for (const { fields, times } of bodies) {
    for (const field of fields) metrics.conflicts.inc({ kind, field }, times)
  }
  const conflicts = bodies
    .slice(0, BODIES_LOGGED_MAX)
    .map(({ id, fields, requestId, times }) => ({ id, fields, requestId, times }))
  log.warn({ kind, count: bodies.length, conflicts }, message[kind])
}

/** Which conflicts a viewer may see: all, or those of a merchant's transactions and, for their owner, of external payments. */
export type ConflictScope = 'all' | { merchantId: string; externalPayments: boolean }

/** A page of conflicts, the latest first, and their total number. */
export async function listConflicts(
  db: Database,
  page: PageQuery,
  scope: ConflictScope,
): Promise<{ data: Conflict[]; total: number }> {
  const wanted = conflictsIn(scope)
  const [rows, [count]] = await Promise.all([
    db.prisma.$queryRaw<ConflictRow[]>`
      SELECT kind, id, fields, deliveries, first_seen_at, last_seen_at, payload FROM conflicts WHERE ${wanted}
      ORDER BY last_seen_at DESC, kind, id, body_hash LIMIT ${page.limit} OFFSET ${page.offset}`,
    db.prisma.$queryRaw<[{ total: number }]>`
      SELECT count(*)::float8 AS total FROM conflicts WHERE ${wanted}`,
  ])
  const data = rows.map((row) => ({
    ...row,
    first_seen_at: row.first_seen_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
  }))
  return { data, total: count.total }
}

type ConflictRow = Omit<Conflict, 'first_seen_at' | 'last_seen_at'> & {
  first_seen_at: Date
  last_seen_at: Date
}

function conflictsIn(scope: ConflictScope): Prisma.Sql {
  if (scope === 'all') return Prisma.sql`true`
  return Prisma.sql`CASE
    WHEN kind <> 'transaction' THEN ${scope.externalPayments}
    ELSE EXISTS (
      SELECT FROM transactions t JOIN merchant_accounts a ON a.account IN (t.source_account, t.destination_account)
      WHERE t.transaction_id = conflicts.id AND a.merchant_id = ${scope.merchantId}::uuid)
    END`
}
