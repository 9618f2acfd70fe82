// Timestamps that callers send.
import { badRequest } from './errors.ts'

/** The timestamp of a text in the contracts' `DayOrTime` form; a day means its beginning. @throws BAD_REQUEST_ERROR if it does not exist */
export function parseTimestamp(field: string, text: string): Date {
  const timestamp = new Date(text)
  const isReal = timestamp.getTime() >= FIRST_TIMESTAMP_MS && isDayOfTheCalendar(text.slice(0, 10))
  if (!isReal)
    throw badRequest({ field, description: `${field} must be an existing date and time, not "${text}"` })
  return timestamp
}

/** PostgreSQL has no year 0. */
const FIRST_TIMESTAMP_MS = Date.parse('0001-01-01T00:00:00Z')

/** JavaScript reads 30 February as 1 March. */
const isDayOfTheCalendar = (day: string) => new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
