// One event of a trail: its fields, its times, and its effect on the payment's status.
import type { EventOutcome, ExternalPaymentStatus, PaymentEventRecord } from '@sluice/contracts'
import { RelativeTime } from '../design/relative-time.tsx'
import { formatCount, formatJson, formatMoney, formatTime, showId } from '../format.ts'
import { StatusIcon, statusLabels } from './status.tsx'
import styles from './trail-event.module.css'

const outcomes: Record<EventOutcome, string> = {
  applied: 'Applied',
  superseded: 'Superseded',
  ignored: 'Ignored',
}

export function TrailEvent({ event }: { event: PaymentEventRecord }) {
  const status = event.event.replace('payment.', '') as ExternalPaymentStatus
  const emittedAt = event.timestamp * 1000
  return (
    <li className={styles.event} data-test-id="trail-event" data-event-id={event.event_id}>
      <span className={styles.marker}>
        <StatusIcon status={status} />
      </span>
      <div className={styles.head}>
        <h3 className={styles.name}>{statusLabels[status]}</h3>
        <span className={styles.outcome} data-outcome={event.outcome} data-test-id="event-outcome">
          {outcomes[event.outcome]}
        </span>
        <span className={styles.amount}>{formatMoney(event.amount, event.currency)}</span>
      </div>
      {event.reason !== null && <p className={styles.reason}>{event.reason}</p>}
      <dl className={styles.facts}>
        <dt>Event</dt>
        <dd>
          <bdi>{showId(event.event_id)}</bdi>
        </dd>
        <dt>Emitted</dt>
        <dd>
          <time dateTime={new Date(emittedAt).toISOString()}>{formatTime(emittedAt)} UTC</time>, by the
          processor's clock
        </dd>
        <dt>Received</dt>
        <dd>
          {formatTime(Date.parse(event.received_at))} UTC{' '}
          <span className={styles.ago}>
            (<RelativeTime iso={event.received_at} />)
          </span>
        </dd>
        <dt>Arrived</dt>
        <dd data-test-id="event-deliveries">{describeArrivals(event.deliveries)}</dd>
        <dt>User</dt>
        <dd>
          <bdi>{showId(event.user_id)}</bdi>
        </dd>
      </dl>
      <details className={styles.payload}>
        <summary>Payload</summary>
        {event.payload === null ? (
          <p>Retention has removed the payload.</p>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it.
          <pre tabIndex={0}>{formatJson(event.payload)}</pre>
        )}
      </details>
    </li>
  )
}

function describeArrivals(count: number): string {
  return count === 1 ? 'Once' : `${formatCount(count)} times, counted once`
}
