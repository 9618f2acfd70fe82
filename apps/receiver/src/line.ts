// Describes a webhook in one line of output.
import { currencyDecimals } from '@sluice/contracts'
import type { WebhookEvent } from '@sluice/webhooks'

const EVENT_WIDTH = 'external_payment.completed'.length

/**
 * For example `payment.success  pay_H8s…  500.00 INR  webhook 8f14e45f-…  again (2nd time)`.
 * @param attempt how often this webhook has arrived, from 1
 */
export function describeEvent(event: WebhookEvent, attempt: number): string {
  return [
    event.name.padEnd(EVENT_WIDTH),
    ...subjectOf(event),
    `webhook ${event.id ?? '(no id)'}`,
    ...(attempt > 1 ? [`again (${ordinal(attempt)} time)`] : []),
  ].join('  ')
}

/** The id of the payment or transaction, and the event's amount. */
function subjectOf(event: WebhookEvent): string[] {
  switch (event.event) {
    case 'payment.created':
    case 'payment.pending':
    case 'payment.success':
    case 'payment.failed':
    case 'webhook.test': {
      const { payment } = event.data
      return [payment.id, minorAmount(payment.amount, payment.currency)]
    }
    case 'refund.created':
    case 'refund.processed':
    case 'refund.failed': {
      const { refund, payment } = event.data
      return [payment.id, minorAmount(refund.amount, payment.currency), refund.id]
    }
    case 'external_payment.pending':
    case 'external_payment.completed':
    case 'external_payment.failed':
    case 'external_payment.refunded': {
      const { payment } = event.data
      return [payment.payment_id, minorAmount(payment.amount, payment.currency)]
    }
    case 'transaction.processed': {
      const { transaction } = event.data
      return [transaction.transaction_id, `${transaction.amount} ${transaction.currency}`]
    }
    case 'unknown':
      return []
  }
}

/** Places the decimal point in the digits, since a division could round: 50000 paise are 500.00 INR, 5 yen are 5 JPY. */
export function minorAmount(amount: number, currency: string): string {
  const decimals = currencyDecimals(currency)
  if (decimals === undefined) return `${amount} minor units of ${currency}`
  if (decimals === 0) return `${amount} ${currency}`
  const digits = String(amount).padStart(decimals + 1, '0')
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)} ${currency}`
}

function ordinal(count: number): string {
  const tens = count % 100
  const suffix = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][count % 10] ?? 'th')
  return `${count}${suffix}`
}

/** Escapes control characters, since ids and unsigned headers come from outside and must not control the terminal. */
export const printable = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
    JSON.stringify(character).length > 3
      ? JSON.stringify(character).slice(1, -1)
      : `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  )
