// The one place that reads the environment: all problems are reported at once, by the variable's name.
import { isIP } from 'node:net'
import { DELAY_MS_MAX, type DelayRange, EnvReader } from './env-reader.ts'
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
  receiverPort: number
  workerMetricsPort: number
  /** Where the page server finds the API. */
  apiUrl: string
  /** The API's address as outsiders see it, for the docs. */
  publicApiUrl: string
  /** The dashboard's address as outsiders see it. */
  publicDashboardUrl: string
  /** Proxies whose X-Forwarded-For is believed: addresses and CIDR ranges. */
  trustProxy: readonly string[]
  /** Secrets of which one must have signed an inbound event; empty: the sandbox accepts unsigned events. */
  inboundWebhookSecrets: readonly string[]
  sandbox: boolean
  /** The e-mail of the merchant who owns external payments; unset: the seeded merchant. */
  externalPaymentsMerchant: string | undefined
  /** Requests of one address on public, login and test routes; each process counts its own. */
  rateLimitPerMinute: number
  /** Webhooks may go to private addresses, such as this machine's. */
  webhookAllowPrivate: boolean
  /** Webhooks are retried after seconds instead of minutes and hours. */
  webhookRetryIntervalsTest: boolean
  transactionProcessingDelayMs: number
  /** The share of UPI payments that succeed at the simulated bank, 0 to 1. */
  upiSuccessRate: number
  /** The same for cards. */
  cardSuccessRate: number
  /** How long the simulated bank takes for a payment. */
  processingDelayMs: DelayRange
  /** The same for a refund. */
  refundDelayMs: DelayRange
  /** Every payment and refund takes this long, and payments end like this; unset: the bank decides. */
  testMode: { paymentSuccess: boolean; processingDelayMs: number } | undefined
  /** Created at start if it does not exist; unset: no merchant is created. */
  seededMerchant: { email: string; apiKey: string; apiSecret: string } | undefined
  workerConcurrency: number
  dispatchIntervalMs: number
  /** Raw payloads of completed events, and webhook attempts, older than this are removed; unset: kept for ever. */
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

/** Every variable that is read here, in the order of `.env.example`; a test compares the two. */
export const variables = [
  'DATABASE_URL',
  'REDIS_URL',
  'DATA_DIR',
  'HOST',
  'PORT',
  'DASHBOARD_PORT',
  'RECEIVER_PORT',
  'WORKER_METRICS_PORT',
  'API_URL',
  'PUBLIC_API_URL',
  'PUBLIC_DASHBOARD_URL',
  'TRUST_PROXY',
  'SANDBOX',
  'INBOUND_WEBHOOK_SECRET',
  'EXTERNAL_PAYMENTS_MERCHANT',
  'RATE_LIMIT_PER_MINUTE',
  'WEBHOOK_ALLOW_PRIVATE',
  'WEBHOOK_RETRY_INTERVALS_TEST',
  'TRANSACTION_PROCESSING_DELAY_MS',
  'WORKER_CONCURRENCY',
  'DISPATCH_INTERVAL_MS',
  'RETENTION_DAYS',
  'UPI_SUCCESS_RATE',
  'CARD_SUCCESS_RATE',
  'PROCESSING_DELAY_MIN',
  'PROCESSING_DELAY_MAX',
  'REFUND_DELAY_MIN',
  'REFUND_DELAY_MAX',
  'TEST_MODE',
  'TEST_PAYMENT_SUCCESS',
  'TEST_PROCESSING_DELAY',
  'TEST_MERCHANT_EMAIL',
  'TEST_API_KEY',
  'TEST_API_SECRET',
  'LOG_LEVEL',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
] as const
type Reader = EnvReader<(typeof variables)[number]>

/**
 * Reads and checks the environment; an empty value counts as unset.
 * @throws ConfigError with all problems, if there are any.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const problems: string[] = []
  const read: Reader = new EnvReader(env, problems)
  const host = read.text('HOST') ?? '127.0.0.1'
  const port = read.integer('PORT', 8000, 0, 65_535)
  const dashboardPort = read.integer('DASHBOARD_PORT', 3000, 0, 65_535)
  const sandbox = read.boolean('SANDBOX', env.NODE_ENV !== 'production')
  const config: Config = {
    databaseUrl: read.url('DATABASE_URL', ['postgresql:', 'postgres:']),
    redisUrl: read.url('REDIS_URL', ['redis:', 'rediss:']),
    dataDir: read.text('DATA_DIR'),
    host,
    port,
    dashboardPort,
    receiverPort: read.integer('RECEIVER_PORT', 4000, 0, 65_535),
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
    sandbox,
    externalPaymentsMerchant: read.email('EXTERNAL_PAYMENTS_MERCHANT'),
    rateLimitPerMinute: read.integer('RATE_LIMIT_PER_MINUTE', sandbox ? 60_000 : 600, 1, 10_000_000),
    webhookAllowPrivate: read.boolean('WEBHOOK_ALLOW_PRIVATE', sandbox),
    webhookRetryIntervalsTest: read.boolean('WEBHOOK_RETRY_INTERVALS_TEST', false),
    transactionProcessingDelayMs: read.integer('TRANSACTION_PROCESSING_DELAY_MS', 30_000, 0, DELAY_MS_MAX),
    upiSuccessRate: read.rate('UPI_SUCCESS_RATE', 0.9),
    cardSuccessRate: read.rate('CARD_SUCCESS_RATE', 0.95),
    processingDelayMs: read.delayRange('PROCESSING_DELAY_MIN', 5000, 'PROCESSING_DELAY_MAX', 10_000),
    refundDelayMs: read.delayRange('REFUND_DELAY_MIN', 3000, 'REFUND_DELAY_MAX', 5000),
    testMode: readTestMode(read, sandbox, problems),
    seededMerchant: readSeededMerchant(read, sandbox, problems),
    workerConcurrency: read.integer('WORKER_CONCURRENCY', 200, 1, 10_000),
    dispatchIntervalMs: read.integer('DISPATCH_INTERVAL_MS', 1000, 50, 5000),
    retentionDays: read.optionalInteger('RETENTION_DAYS', 1, 36_500),
    logLevel: read.choice('LOG_LEVEL', logLevels, 'info'),
    otelEndpoint: read.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function readTestMode(read: Reader, sandbox: boolean, problems: string[]): Config['testMode'] {
  const isOn = read.boolean('TEST_MODE', false)
  const paymentSuccess = read.boolean('TEST_PAYMENT_SUCCESS', true)
  const processingDelayMs = read.integer('TEST_PROCESSING_DELAY', 1000, 0, DELAY_MS_MAX)
  // A setting must not decide how a payment ends where money could be real.
  if (isOn && !sandbox) problems.push('TEST_MODE may be true only with SANDBOX=true')
  return isOn ? { paymentSuccess, processingDelayMs } : undefined
}

/** The well-known credentials work in the sandbox only; elsewhere the operator sets a pair of their own. */
function readSeededMerchant(read: Reader, sandbox: boolean, problems: string[]): Config['seededMerchant'] {
  const email = read.email('TEST_MERCHANT_EMAIL') ?? 'test@example.com'
  const apiKey = read.credential('TEST_API_KEY')
  const apiSecret = read.credential('TEST_API_SECRET')
  if (sandbox) {
    return { email, apiKey: apiKey ?? 'key_test_abc123', apiSecret: apiSecret ?? 'secret_test_xyz789' }
  }
  const hasKey = read.text('TEST_API_KEY') !== undefined
  const hasSecret = read.text('TEST_API_SECRET') !== undefined
  if (hasKey !== hasSecret) {
    const [missing, given] = hasKey
      ? ['TEST_API_SECRET', 'TEST_API_KEY']
      : ['TEST_API_KEY', 'TEST_API_SECRET']
    problems.push(`${missing} must be set when ${given} is and the sandbox is off: set both or neither`)
  }
  return apiKey !== undefined && apiSecret !== undefined ? { email, apiKey, apiSecret } : undefined
}

/** The configuration of a process that needs a database. */
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
    // A prefix of 0 would trust every address, and the libraries that take this value refuse it.
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= bits))
  )
}
