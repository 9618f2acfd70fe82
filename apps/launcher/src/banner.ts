// What `npm start` prints once everything runs: where it is, and what to try first.
import { type Config, localAddress } from '@sluice/core'

export interface BannerFacts {
  config: Pick<
    Config,
    'publicApiUrl' | 'host' | 'workerMetricsPort' | 'redisUrl' | 'sandbox' | 'transactionProcessingDelayMs'
  >
  whereDataLies: string
  /** Of the transaction to try, new with every start so that there is something to watch. */
  transactionId: string
  watch: boolean
}

export function banner({ config, whereDataLies, transactionId, watch }: BannerFacts): string {
  const api = config.publicApiUrl
  const delay = `${config.transactionProcessingDelayMs / 1000} s`
  const queue = config.redisUrl
    ? `Redis at ${new URL(config.redisUrl).host}`
    : 'PostgreSQL (set REDIS_URL to use Redis)'
  const facts = [
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
    ...facts.map(([name, value]) => `  ${name!.padEnd(7)} ${value}`),
    '',
    ...(config.sandbox ? whatToTry(api, transactionId, delay) : [SANDBOX_IS_OFF]),
    '',
  ]
  return lines.join('\n')
}

const SANDBOX_IS_OFF =
  'SANDBOX is off (NODE_ENV=production turns it off): inbound webhooks and reads are answered 401. SANDBOX=true opens them.'

const whatToTry = (api: string, transactionId: string, delay: string) => [
  `Try it: post a transaction as a processor would (twice, if you like: it counts once), and see it PROCESSED ${delay} later.`,
  '',
  `  ${postCommand(api, transactionId)}`,
  `  curl ${api}/v1/transactions/${transactionId}`,
]

function postCommand(api: string, transactionId: string): string {
  const body = {
    transaction_id: transactionId,
    source_account: 'acc_user_789',
    destination_account: 'acc_merchant_456',
    amount: 1500,
    currency: 'INR',
  }
  return `curl -i ${api}/v1/webhooks/transactions -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
}
