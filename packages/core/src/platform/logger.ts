// JSON logs, one line for each unit of work.
import { type Logger, pino } from 'pino'
import type { Config } from './config.ts'

export type { Logger } from 'pino'

export function createLogger(config: Pick<Config, 'logLevel'>, app: string): Logger {
  return pino({
    level: config.logLevel,
    base: { app, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: safeError },
    redact: {
      paths: ['*.password', '*.secret', '*.authorization', '*["x-api-secret"]'],
      censor: '[redacted]',
    },
  })
}

/** An error without what PostgreSQL adds of the row itself (detail, where), which may hold anything that was posted. */
function safeError(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack } = error
  const code = (error as { code?: unknown }).code
  const cause: unknown = error.cause === undefined ? undefined : safeError(error.cause)
  return { name, message, ...(code === undefined ? {} : { code }), stack, ...(cause ? { cause } : {}) }
}
