// What took effect, as the database itself tells it: every row's work ended once, and payments as their events say.
import type { TestDatabase } from './postgres.ts'

type Queryable = Pick<TestDatabase, 'query'>

export interface Ending {
  /** A transaction's, an event's, a payment's or a refund's. */
  id: string
  times: number
}

const workTables = [
  { table: 'transactions', id: 'transaction_id', done: 'processed_at' },
  { table: 'payment_events', id: 'event_id', done: 'followed_up_at' },
  { table: 'payments', id: 'id', done: 'settled_at' },
  { table: 'refunds', id: 'id', done: 'settled_at' },
]

/** Counts, in the database itself, every time that a row's work is marked as done. */
export async function countEndings(database: Queryable): Promise<void> {
  await database.query('CREATE TABLE endings (id text PRIMARY KEY, times int NOT NULL)')
  for (const { table, id, done } of workTables) {
    await database.query(`
      CREATE FUNCTION count_ending_of_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO endings VALUES (new.${id}, 1) ON CONFLICT (id) DO UPDATE SET times = endings.times + 1;
        RETURN NULL;
      END $$`)
    await database.query(`
      CREATE TRIGGER count_endings AFTER UPDATE OF ${done} ON ${table}
      FOR EACH ROW WHEN (new.${done} IS NOT NULL) EXECUTE FUNCTION count_ending_of_${table}()`)
  }
}

export const readEndings = (database: Queryable): Promise<Ending[]> =>
  database.query('SELECT id, times FROM endings ORDER BY id')

/** How many rows have work left. */
export async function countOpen(database: Queryable): Promise<number> {
  const counts = workTables.map(
    ({ table, done }) => `(SELECT count(*)::int FROM ${table} WHERE ${done} IS NULL)`,
  )
  const [row] = await database.query<{ open: number }>(`SELECT ${counts.join(' + ')} AS open`)
  return row!.open
}

/** What is not as it should be once nothing is open: ids that ended more than once or never, payments that differ from their events. */
export async function findFaults(database: Queryable, acknowledged: ReadonlySet<string>): Promise<string[]> {
  const endings = await readEndings(database)
  const ended = new Set(endings.map(({ id }) => id))
  return [
    ...endings.filter(({ times }) => times !== 1).map(({ id, times }) => `${id} ended ${times} times`),
    ...[...acknowledged].filter((id) => !ended.has(id)).map((id) => `${id} never ended`),
    ...(await findWrongPayments(database)),
  ]
}

/** Payments that differ from what SPEC 4 makes of their events, as a query knows it: independent of how they were kept. */
export async function findWrongPayments(database: Queryable): Promise<string[]> {
  const greatestFirst = `
    CASE status WHEN 'refunded' THEN 2 WHEN 'completed' THEN 1 ELSE 0 END DESC, "timestamp" DESC,
    (status = 'failed') DESC, event_id COLLATE "C" DESC`
  const rows = await database.query<{ payment_id: string }>(`
    WITH expected AS (
      SELECT payment_id, deciding.*, terms.*, events.*,
        (SELECT coalesce(sum(amount), 0) FROM payment_events r
         WHERE r.payment_id = ids.payment_id AND r.status = 'refunded' AND r.currency = terms.currency) AS refunded_amount
      FROM (SELECT DISTINCT payment_id FROM payment_events) AS ids
      CROSS JOIN LATERAL (
        SELECT status, event_id, "timestamp" FROM payment_events e WHERE e.payment_id = ids.payment_id
        ORDER BY ${greatestFirst} LIMIT 1) AS deciding
      CROSS JOIN LATERAL (
        SELECT amount, currency, user_id FROM payment_events e WHERE e.payment_id = ids.payment_id
        ORDER BY status = 'refunded', ${greatestFirst} LIMIT 1) AS terms
      CROSS JOIN LATERAL (
        SELECT count(*)::int AS events_count, max(ordinal) AS last_ordinal FROM payment_events e
        WHERE e.payment_id = ids.payment_id) AS events
    )
    SELECT coalesce(e.payment_id, p.payment_id) AS payment_id
    FROM expected e FULL JOIN external_payments p USING (payment_id)
    WHERE (e.status, e.event_id, e."timestamp", e.amount, e.currency, e.user_id, e.refunded_amount, e.events_count, e.last_ordinal)
      IS DISTINCT FROM
      (p.status, p.event_id, p."timestamp", p.amount, p.currency, p.user_id, p.refunded_amount::numeric, p.events_count, p.events_count)`)
  return rows.map(({ payment_id }) => `${payment_id} differs from its events`)
}
