// The one place that reads the environment. Every problem is reported at once, by the variable's name.
import { isIP } from 'node:net'
import { StartupError } from './errors.ts'
import { isWebhookSecret } from './standard-webhooks.ts'

export interface Config {
  /** Unset only in the launcher, which then runs an embedded server. */
  databaseUrl: string | undefined
  /** Unset: the queue lives in PostgreSQL. */
  redisUrl: string | undefined
  /** Where the embedded PostgreSQL keeps its files. */
  dataDir: string | undefined
  host: string
  port: number
  dashboardPort: number
  workerMetricsPort: number
  /** Where the page server finds the API. */
  apiUrl: string
  /** The API's address as outsiders see it, for the docs. */
  publicApiUrl: string
  /** The dashboard's address as outsiders see it. */
  publicDashboardUrl: string
  /** Proxies whose X-Forwarded-For is believed: addresses and CIDR ranges. */
  trustProxy: readonly string[]
  /** Any of these may have signed an inbound event; empty: unsigned ones are taken, in the sandbox only. */
  inboundWebhookSecrets: readonly string[]
  sandbox: boolean
  transactionProcessingDelayMs: number
  workerConcurrency: number
  dispatchIntervalMs: number
  /** Raw payloads of deliveries that are done with and older than this are removed; unset: kept for ever. */
  retentionDays: number | undefined
  logLevel: LogLevel
  /** An OTLP/HTTP collector; unset: no tracing. */
  otelEndpoint: string | undefined
}

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export class ConfigError extends StartupError {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`The environment is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** Every variable that is read here, in the order of `.env.example`, which a test compares with this list. */
export const variables = [
  'DATABASE_URL',
  'REDIS_URL',
  'DATA_DIR',
  'HOST',
  'PORT',
  'DASHBOARD_PORT',
  'WORKER_METRICS_PORT',
  'API_URL',
  'PUBLIC_API_URL',
  'PUBLIC_DASHBOARD_URL',
  'TRUST_PROXY',
  'SANDBOX',
  'INBOUND_WEBHOOK_SECRET',
  'TRANSACTION_PROCESSING_DELAY_MS',
  'WORKER_CONCURRENCY',
  'DISPATCH_INTERVAL_MS',
  'RETENTION_DAYS',
  'LOG_LEVEL',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
] as const
type Variable = (typeof variables)[number]

/** The greatest delay of a timer and of a delayed job (int32 milliseconds, about 24 days). */
const DELAY_MS_MAX = 2 ** 31 - 1

/**
 * Reads and checks the environment; an empty value counts as unset.
 * @throws ConfigError with all problems when anything is wrong.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const problems: string[] = []
  const read = reader(env, problems)
  const host = read.text('HOST') ?? '127.0.0.1'
  const port = read.integer('PORT', 8000, 0, 65_535)
  const dashboardPort = read.integer('DASHBOARD_PORT', 3000, 0, 65_535)
  const config: Config = {
    databaseUrl: read.url('DATABASE_URL', ['postgresql:', 'postgres:']),
    redisUrl: read.url('REDIS_URL', ['redis:', 'rediss:']),
    dataDir: read.text('DATA_DIR'),
    host,
    port,
    dashboardPort,
    workerMetricsPort: read.integer('WORKER_METRICS_PORT', 9101, 0, 65_535),
    apiUrl: read.url('API_URL', ['http:', 'https:']) ?? localAddress(host, port),
    publicApiUrl: read.url('PUBLIC_API_URL', ['http:', 'https:']) ?? localAddress(host, port),
    publicDashboardUrl:
      read.url('PUBLIC_DASHBOARD_URL', ['http:', 'https:']) ?? localAddress(host, dashboardPort),
    trustProxy: read.list('TRUST_PROXY', isAddressRange, 'IP addresses or CIDR ranges'),
    inboundWebhookSecrets: read.list(
      'INBOUND_WEBHOOK_SECRET',
      isWebhookSecret,
      'Standard Webhooks secrets (whsec_ and the base64 of 24 to 64 bytes)',
    ),
    sandbox: read.boolean('SANDBOX', env.NODE_ENV !== 'production'),
    transactionProcessingDelayMs: read.integer('TRANSACTION_PROCESSING_DELAY_MS', 30_000, 0, DELAY_MS_MAX),
    workerConcurrency: read.integer('WORKER_CONCURRENCY', 200, 1, 10_000),
    dispatchIntervalMs: read.integer('DISPATCH_INTERVAL_MS', 1000, 50, 5000),
    retentionDays: read.optionalInteger('RETENTION_DAYS', 1, 36_500),
    logLevel: read.choice('LOG_LEVEL', logLevels, 'info'),
    otelEndpoint: read.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** The configuration of a process that cannot do without a database. */
export function readServiceConfig(env: Record<string, string | undefined>): Config & { databaseUrl: string } {
  const config = readConfig(env)
  if (config.databaseUrl === undefined) {
    throw new ConfigError([
      'DATABASE_URL must be set, such as postgresql://user:password@host:5432/name (npm start brings its own)',
    ])
  }
  return { ...config, databaseUrl: config.databaseUrl }
}

/** The address of a listener as a local user would type it. */
export function localAddress(host: string, port: number): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`
}

export const isLoopback = (host: string) => host === 'localhost' || host === '::1' || /^127\./.test(host)

function isAddressRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
  return (
    bits !== -1 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  )
}

function reader(env: Record<string, string | undefined>, problems: string[]) {
  const text = (name: Variable) => {
    const value = env[name]?.trim()
    return value === '' ? undefined : value
  }
  const optionalInteger = (name: Variable, min: number, max: number) => {
    const value = text(name)
    if (value === undefined) return undefined
    const number = Number(value)
    if (/^\d+$/.test(value) && number >= min && number <= max) return number
    problems.push(`${name} must be an integer from ${min} to ${max}, not "${value}"`)
    return undefined
  }
  return {
    text,
    optionalInteger,
    integer: (name: Variable, fallback: number, min: number, max: number) =>
      optionalInteger(name, min, max) ?? fallback,
    boolean(name: Variable, fallback: boolean) {
      const value = text(name)
      if (value === undefined) return fallback
      if (value === 'true' || value === 'false') return value === 'true'
      problems.push(`${name} must be true or false, not "${value}"`)
      return fallback
    },
    /** Comma-separated; never quotes an entry, which may be a secret. */
    list(name: Variable, isValid: (entry: string) => boolean, whatIsRight: string) {
      const entries = (text(name) ?? '').split(',').map((entry) => entry.trim())
      const given = entries.filter((entry) => entry !== '')
      const wrong = given.findIndex((entry) => !isValid(entry))
      if (wrong !== -1) {
        problems.push(`${name} must be a comma-separated list of ${whatIsRight}; entry ${wrong + 1} is not`)
      }
      return given
    },
    choice<const T extends string>(name: Variable, choices: readonly T[], fallback: T): T {
      const value = text(name)
      if (value === undefined) return fallback
      const chosen = choices.find((choice) => choice === value)
      if (chosen === undefined) problems.push(`${name} must be one of ${choices.join(', ')}, not "${value}"`)
      return chosen ?? fallback
    },
    /** Never quotes the value: URLs of databases carry passwords. */
    url(name: Variable, protocols: readonly string[]) {
      const value = text(name)
      if (value === undefined) return undefined
      if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value
      problems.push(`${name} must be a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`)
      return undefined
    },
  }
}
