// The summary bar: counts by status and totals by currency, over all payments, not only those on the page.
import { type ExternalPaymentsSummary, externalPaymentStatuses } from '@sluice/contracts'
import { useMemo } from 'react'
import { formatCount, formatMoney } from '../format.ts'
import { StatusIcon, statusLabels } from './status.tsx'
import styles from './summary-bar.module.css'
import { totalsByCurrency } from './totals.ts'
import type { StatusChoice } from './view.ts'

interface SummaryBarProps {
  shown: StatusChoice
  summary: ExternalPaymentsSummary | undefined
  /** The totals still belong to the previous choice. */
  outdated: boolean
}

export function SummaryBar({ shown, summary, outdated }: SummaryBarProps) {
  const totals = useMemo(() => totalsByCurrency(summary?.totals ?? []), [summary])
  return (
    <section
      className={styles.bar}
      aria-label="Summary"
      aria-busy={summary === undefined || outdated}
      data-test-id="summary-bar"
    >
      <ul className={styles.counts}>
        {externalPaymentStatuses.map((status) => (
          <li
            key={status}
            className={styles.count}
            data-aside={shown !== 'all' && shown !== status ? '' : undefined}
            data-test-id={`summary-${status}`}
          >
            <StatusIcon status={status} />
            <span>
              <strong className={styles.figure}>
                {summary === undefined ? '–' : formatCount(summary.counts[status])}
              </strong>{' '}
              {statusLabels[status]}
            </span>
          </li>
        ))}
      </ul>
      <div className={styles.totals} data-outdated={outdated ? '' : undefined}>
        <h2 className={styles.heading}>
          {shown === 'all' ? 'All statuses' : `${statusLabels[shown]} amount`}
        </h2>
        {totals.length === 0 ? (
          <p className={styles.none}>{summary === undefined ? '–' : 'None'}</p>
        ) : (
          <ul className={styles.amounts}>
            {totals.map(({ currency, amount, refunded }) => (
              <li key={currency}>
                <span className={styles.amount} data-test-id={`summary-total-${currency}`}>
                  {formatMoney(amount, currency)}
                </span>
                {refunded > 0 && (
                  <span className={styles.refunded}>{formatMoney(refunded, currency)} refunded</span>
                )}
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  )
}
