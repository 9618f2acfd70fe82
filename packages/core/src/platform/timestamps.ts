// Times that callers name.
import { badRequest } from './errors.ts'

/** The moment that a text of the contracts' `Moment` form names; a day is its beginning. @throws BAD_REQUEST_ERROR when there is none */
export function parseTimestamp(field: string, text: string): Date {
  const moment = new Date(text)
  const isReal = moment.getTime() >= FIRST_MOMENT_MS && isDayOfTheCalendar(text.slice(0, 10))
  if (!isReal)
    throw badRequest({ field, description: `${field} must be a time that there is; "${text}" is none` })
  return moment
}

/** PostgreSQL knows no year 0. */
const FIRST_MOMENT_MS = Date.parse('0001-01-01T00:00:00Z')

/** JavaScript takes 30 February for 1 March. */
const isDayOfTheCalendar = (day: string) => new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
