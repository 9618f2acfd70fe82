// What `npm start` prints once everything runs: where it is, and what to try first.
import { type Config, localAddress } from '@sluice/core'

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
  >
  whereDataLies: string
  /** Of the ids to try, new with every start so that there is something to watch. */
  tag: string
  now: Date
  watch: boolean
}

export function banner(given: BannerFacts): string {
  const { config, whereDataLies, watch } = given
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
    ['Data', whereDataLies],
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

function whatToTry({ config, tag, now }: BannerFacts): string[] {
  // What would be refused is not offered.
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
    `Try it: post a payment event as a provider would (twice, if you like: it counts once), and see it at ${paymentsPage(config)}`,
    '',
    `  ${postCommand(`${api}/webhooks/payment`, payment)}`,
    '',
    `Or post a transaction, and see it PROCESSED ${delay} later.`,
    '',
    `  ${postCommand(`${api}/v1/webhooks/transactions`, transaction)}`,
    `  curl ${api}/v1/transactions/${transaction.transaction_id}`,
  ]
}

const SANDBOX_IS_OFF =
  'SANDBOX is off (NODE_ENV=production turns it off): webhooks are answered 401 until INBOUND_WEBHOOK_SECRET is set, reads and the dashboard anyway. SANDBOX=true opens all, for trying out.'

const SANDBOX_IS_OFF_SIGNED =
  'SANDBOX is off (NODE_ENV=production turns it off): webhooks need a signature by INBOUND_WEBHOOK_SECRET, else they are answered 401, and so are reads and the dashboard. SANDBOX=true opens those, for trying out.'

const SECRET_IS_SET =
  'INBOUND_WEBHOOK_SECRET is set: webhooks without its signature are answered 401, a plain curl too. Try it with npm run simulate, which signs.'

const paymentsPage = ({ publicDashboardUrl }: Pick<Config, 'publicDashboardUrl'>) =>
  `${publicDashboardUrl.replace(/\/$/, '')}/payments`

const postCommand = (url: string, body: object) =>
  `curl -i ${url} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
