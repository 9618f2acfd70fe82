// Cleanup of expired dashboard sessions.
import type { CleanupTask } from '../platform/housekeeping.ts'

export const expiredSessions: CleanupTask = {
  name: 'expired sessions',
  run: (db, rowsMax) => db.prisma.$executeRaw`
    DELETE FROM sessions WHERE token_hash IN (
      SELECT token_hash FROM sessions WHERE expires_at <= now() LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`,
}
