// One payment of the table. A click on the row opens its trail; its link works by keyboard and in a new tab.
import type { ExternalPayment } from '@sluice/contracts'
import { type MouseEvent, memo } from 'react'
import { RelativeTime } from '../design/relative-time.tsx'
import { formatCount, formatMoney, formatTime, showId } from '../format.ts'
import styles from './payments-table.module.css'
import { StatusBadge } from './status.tsx'

interface PaymentsTableRowProps {
  payment: ExternalPayment
  href: string
  onOpen: (paymentId: string) => void
}

export const PaymentsTableRow = memo(function PaymentsTableRow({
  payment,
  href,
  onOpen,
}: PaymentsTableRowProps) {
  const { payment_id: id, currency, timestamp } = payment

  function open(event: MouseEvent<HTMLElement>) {
    if (event.defaultPrevented || isForBrowser(event)) return
    event.preventDefault()
    // Closing the trail restores the focus to this link.
    event.currentTarget.querySelector('a')?.focus({ preventScroll: true })
    onOpen(id)
  }

  return (
    <tr className={styles.row} onClick={open} data-test-id="payment-row" data-payment-id={id}>
      <th scope="row" className={styles.id}>
        <a href={href} title={showId(id)} dir="auto">
          {showId(id)}
        </a>
      </th>
      <td className={styles.status}>
        <StatusBadge status={payment.status} data-test-id="payment-status" />
      </td>
      <td className={styles.amount} data-numeric="">
        <span data-test-id="payment-amount">{formatMoney(payment.amount, currency)}</span>
        {payment.refunded_amount > 0 && (
          <span className={styles.refunded}>{formatMoney(payment.refunded_amount, currency)} refunded</span>
        )}
      </td>
      <td className={styles.user}>
        <span title={showId(payment.user_id)} dir="auto">
          {showId(payment.user_id)}
        </span>
      </td>
      <td className={styles.event}>
        <time dateTime={new Date(timestamp * 1000).toISOString()}>{formatTime(timestamp * 1000)}</time>
      </td>
      <td className={styles.events} data-numeric="">
        {formatCount(payment.events_count)}
        <span className={styles.unit}>{payment.events_count === 1 ? ' event' : ' events'}</span>
      </td>
      <td className={styles.updated}>
        <RelativeTime iso={payment.updated_at} data-test-id="payment-updated" />
      </td>
    </tr>
  )
})

/** The browser handles clicks for new tabs and windows, and clicks that end a selection of text. */
function isForBrowser(event: MouseEvent): boolean {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return true
  return window.getSelection()?.isCollapsed === false
}
