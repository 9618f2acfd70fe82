// Cleanup of raw payloads of inbound events and of conflicts, once their retention time has passed.
import type { CleanupTask } from '../platform/housekeeping.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** A table of inbound events. The names are constants of this code, never input. */
export interface InboundEventTable {
  table: string
  idColumn: string
  receivedColumn: string
  doneColumn: string
}

/** Removes raw payloads of processed events. The rows stay, so that a duplicate is still recognised. */
export function oldPayloads(
  retentionDays: number,
  { table, idColumn, receivedColumn, doneColumn }: InboundEventTable,
): CleanupTask {
  const removePayloads = `
    UPDATE ${table} SET payload = NULL WHERE ${idColumn} IN (
      SELECT ${idColumn} FROM ${table}
      WHERE ${receivedColumn} >= $1 AND ${receivedColumn} < $2 AND ${doneColumn} IS NOT NULL AND payload IS NOT NULL
      LIMIT $3 FOR UPDATE SKIP LOCKED)`
  // Rows older than this are clean. Without it each round would scan the whole history again.
  let cleanedUpTo = new Date(0)
  return {
    name: `old payloads of ${table}`,
    async run(db, rowsMax) {
      const cutoff = new Date(Date.now() - retentionDays * DAY_MS)
      const changed = await db.prisma.$executeRawUnsafe(removePayloads, cleanedUpTo, cutoff, rowsMax)
      // The next round goes back one day, for rows that were unprocessed or locked.
      if (changed < rowsMax) cleanedUpTo = new Date(cutoff.getTime() - DAY_MS)
      return changed
    },
  }
}

/** Removes raw bodies of contradicting duplicates. The conflict and its count stay. */
export const oldConflictPayloads = (retentionDays: number): CleanupTask => ({
  name: 'old conflict payloads',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    UPDATE conflicts SET payload = NULL WHERE (kind, id, body_hash) IN (
      SELECT kind, id, body_hash FROM conflicts
      WHERE last_seen_at < now() - ${retentionDays}::float8 * interval '1 day' AND payload IS NOT NULL
      LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
})
