// JSON logs, one line for each unit of work.
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import type { Config } from './config.ts'

export type { Logger } from 'pino'

/** Writes to standard output, or to `out`. */
export function createLogger(config: Pick<Config, 'logLevel'>, app: string, out?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: config.logLevel,
    base: { app, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: safeError },
    redact: {
      paths: ['*.password', '*.secret', '*.authorization', '*["x-api-secret"]'],
      censor: '[redacted]',
    },
  }
  return out === undefined ? pino(options) : pino(options, out)
}

/** An error without PostgreSQL's `detail` and `where`, which may contain values of the posted row. */
function safeError(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack } = error
  const code = (error as { code?: unknown }).code
  const cause: unknown = error.cause === undefined ? undefined : safeError(error.cause)
  return { name, message, ...(code === undefined ? {} : { code }), stack, ...(cause ? { cause } : {}) }
}
