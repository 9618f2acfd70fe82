// The filter by status. The choice is in the address, so that a link keeps it and Back undoes it.
import { type ExternalPaymentsSummary, externalPaymentStatuses } from '@sluice/contracts'
import { formatCount } from '../format.ts'
import { statusLabels } from './status.tsx'
import styles from './status-filter.module.css'
import type { StatusChoice } from './view.ts'

interface StatusFilterProps {
  chosen: StatusChoice
  counts: ExternalPaymentsSummary['counts'] | undefined
  onChoose: (status: StatusChoice) => void
}

export function StatusFilter({ chosen, counts, onChoose }: StatusFilterProps) {
  const all = counts && externalPaymentStatuses.reduce((sum, status) => sum + counts[status], 0)
  const choices = [
    { status: 'all' as const, label: 'All', count: all },
    ...externalPaymentStatuses.map((status) => ({
      status,
      label: statusLabels[status],
      count: counts?.[status],
    })),
  ]
  return (
    <fieldset className={styles.filter} data-test-id="status-filter">
      <legend className="visually-hidden">Show payments by status</legend>
      {choices.map(({ status, label, count }) => (
        <button
          key={status}
          type="button"
          className={styles.choice}
          data-status={status}
          aria-pressed={status === chosen}
          onClick={() => onChoose(status)}
        >
          {label}
          {count !== undefined && <span className={styles.count}>{formatCount(count)}</span>}
        </button>
      ))}
    </fieldset>
  )
}
