// What `npm start` prints once everything runs: the addresses, and commands to try.
import { type Config, localAddress } from '@sluice/core/platform'

export interface BannerFacts {
  config: Pick<
    Config,
    | 'publicApiUrl'
    | 'publicDashboardUrl'
    | 'host'
    | 'workerMetricsPort'
    | 'redisUrl'
    | 'sandbox'
    | 'inboundWebhookSecrets'
    | 'transactionProcessingDelayMs'
    | 'seededMerchant'
  >
  dataLocation: string
  /** Part of the ids in the commands, new with every start, so that each start shows new payments. */
  tag: string
  now: Date
  watch: boolean
}

export function banner(given: BannerFacts): string {
  const { config, dataLocation, watch } = given
  const api = config.publicApiUrl
  const queue = config.redisUrl
    ? `Redis at ${new URL(config.redisUrl).host}`
    : 'PostgreSQL (set REDIS_URL to use Redis)'
  const facts = [
    ['Dashboard', paymentsPage(config)],
    ['API', api],
    ['Docs', `${api}/docs`],
    [
      'Metrics',
      `${api}/metrics, the worker's ${localAddress(config.host, config.workerMetricsPort)}/metrics`,
    ],
    ...merchantFacts(config),
    ['Data', dataLocation],
    ['Queue', queue],
  ]
  const lines = [
    '',
    watch
      ? 'Sluice is running and restarts when the sources change. Ctrl-C stops it.'
      : 'Sluice is running. Ctrl-C stops it.',
    '',
    ...facts.map(([name, value]) => `  ${name!.padEnd(9)} ${value}`),
    '',
    ...whatToTry(given),
    '',
  ]
  return lines.join('\n')
}

/** The sandbox's keys are public; other keys never appear on a terminal. */
function merchantFacts({ sandbox, seededMerchant }: BannerFacts['config']): string[][] {
  if (!sandbox || seededMerchant === undefined) return []
  const { email, apiKey, apiSecret } = seededMerchant
  return [['Merchant', `${email}, X-Api-Key: ${apiKey}, X-Api-Secret: ${apiSecret}`]]
}

function whatToTry({ config, tag, now }: BannerFacts): string[] {
  // Only commands that work are offered.
  const signed = config.inboundWebhookSecrets.length > 0
  if (!config.sandbox) return [signed ? SANDBOX_IS_OFF_SIGNED : SANDBOX_IS_OFF]
  if (signed) return [SECRET_IS_SET]
  const api = config.publicApiUrl
  const payment = {
    event_id: `evt_${tag}`,
    payment_id: `pay_${tag}`,
    event: 'payment.completed',
    amount: 25000,
    currency: 'USD',
    user_id: 'user_1',
    timestamp: Math.floor(now.getTime() / 1000),
  }
  const transaction = {
    transaction_id: `txn_${tag}`,
    source_account: 'acc_user_789',
    destination_account: 'acc_merchant_456',
    amount: 1500,
    currency: 'INR',
  }
  const delay = `${config.transactionProcessingDelayMs / 1000} s`
  return [
    `Try it: post a payment event as a processor does (a second time has no effect), and see it at ${paymentsPage(config)}`,
    '',
    `  ${postCommand(`${api}/webhooks/payment`, payment)}`,
    '',
    `Or post a transaction; it is PROCESSED ${delay} later.`,
    '',
    `  ${postCommand(`${api}/v1/webhooks/transactions`, transaction)}`,
    `  curl ${api}/v1/transactions/${transaction.transaction_id}`,
    '',
    ...howToPay(config),
  ]
}

function howToPay({ publicApiUrl: api, seededMerchant }: BannerFacts['config']): string[] {
  if (seededMerchant === undefined) return []
  const { apiKey, apiSecret } = seededMerchant
  const keys = ` -H 'X-Api-Key: ${apiKey}' -H 'X-Api-Secret: ${apiSecret}'`
  const payment = { order_id: '<id of the order>', method: 'upi', vpa: 'success@test' }
  return [
    'Or create an order, pay it by UPI (success@test succeeds, failure@test fails), and list your payments.',
    '',
    `  ${postCommand(`${api}/api/v1/orders`, { amount: 50000, currency: 'INR' }, keys)}`,
    `  ${postCommand(`${api}/api/v1/payments`, payment, keys)}`,
    `  curl ${api}/api/v1/payments${keys}`,
  ]
}

const SANDBOX_IS_OFF =
  "SANDBOX is off (NODE_ENV=production turns it off). Inbound webhooks get 401 until INBOUND_WEBHOOK_SECRET is set; reads need a merchant's keys. npm run merchant -- create creates a merchant. SANDBOX=true opens all routes, for trials."

const SANDBOX_IS_OFF_SIGNED =
  "SANDBOX is off (NODE_ENV=production turns it off). Inbound webhooks need a signature by INBOUND_WEBHOOK_SECRET, and reads a merchant's keys; otherwise they get 401. npm run merchant -- create creates a merchant. SANDBOX=true opens all routes, for trials."

const SECRET_IS_SET =
  'INBOUND_WEBHOOK_SECRET is set: inbound webhooks without its signature get 401, and so does a plain curl. Try npm run simulate, which signs.'

const paymentsPage = ({ publicDashboardUrl }: Pick<Config, 'publicDashboardUrl'>) =>
  `${publicDashboardUrl.replace(/\/$/, '')}/payments`

const postCommand = (url: string, body: object, headers = '') =>
  `curl -i ${url}${headers} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
