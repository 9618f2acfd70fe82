// Errors that core throws and transports map to the wire's one shape, and the classes of database errors.
import type { ErrorCode, FieldProblem } from '@sluice/contracts'

/** An error whose description the caller may read. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  readonly field: string | undefined
  /** A finer cause within the code. */
  readonly reason: string | undefined
  constructor(
    code: ErrorCode,
    description: string,
    options: { field?: string; reason?: string; cause?: unknown } = {},
  ) {
    super(description, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SluiceError'
    this.code = code
    this.field = options.field
    this.reason = options.reason
  }
}

/** Prevents a process from starting; its message is for the operator. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError'
}

export const badRequest = (problem: FieldProblem) =>
  new SluiceError('BAD_REQUEST_ERROR', problem.description, { field: problem.field })

export const notFound = (what: string) => new SluiceError('NOT_FOUND_ERROR', `${what} not found`)

/** 503: it is unknown whether the request was stored; sending it again is safe. */
export const unavailable = (cause?: unknown) =>
  new SluiceError('SERVICE_UNAVAILABLE', 'The service cannot store this right now; send it again', { cause })

/** A PostgreSQL error's SQLSTATE, from node-postgres or through Prisma; undefined for others. */
function sqlState(error: unknown): string | undefined {
  const { code, meta } = error as {
    code?: unknown
    meta?: { driverAdapterError?: { cause?: { originalCode?: string } } }
  }
  const state = meta?.driverAdapterError?.cause?.originalCode ?? code
  return typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined
}

/** Errors that a retry may not meet again: a deadlock, a serialization failure. */
export const isTransientConflict = (error: unknown) => ['40P01', '40001'].includes(sqlState(error) ?? '')

/** Errors of the values themselves, such as a violated constraint: a retry with the same rows fails again. */
export const isDataError = (error: unknown) => /^(22|23|54)/.test(sqlState(error) ?? '')

/** A row with this key exists already. */
export const isUniqueViolation = (error: unknown) => sqlState(error) === '23505'

/** Prisma's codes for: unreachable, timed out, connection closed, pool exhausted. */
const prismaUnavailable = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028'])

/** Whether the database is away, starting, stopping or too slow, so that the request may be sent again. */
export function isUnavailable(error: unknown): boolean {
  const { code, message, cause } = error as { code?: unknown; message?: unknown; cause?: unknown }
  const state = sqlState(error)
  if (state !== undefined && /^(08|53|57|58)/.test(state)) return true
  if (typeof code === 'string' && (prismaUnavailable.has(code) || /^E[A-Z]+$/.test(code))) return true
  if (typeof message === 'string' && unavailableMessage.test(message)) return true
  return cause !== undefined && cause !== null && cause !== error && isUnavailable(cause)
}

/** Errors of node-postgres without a code. */
const unavailableMessage =
  /timeout|Connection terminated|Client has encountered a connection error|not queryable|Can't reach database/i
