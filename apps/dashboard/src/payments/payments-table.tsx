// The table of payments. On phones each row looks like a card but stays a row for screen readers.
import type { ExternalPayment } from '@sluice/contracts'
import type { ReactNode } from 'react'
import styles from './payments-table.module.css'
import { PaymentsTableRow } from './payments-table-row.tsx'

const columns = ['Payment', 'Status', 'Amount', 'User', 'Last event (UTC)', 'Events', 'Updated']
const numeric = new Set(['Amount', 'Events'])
const SKELETON_ROWS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

interface PaymentsTableProps {
  /** Undefined during the first read. */
  payments: ExternalPayment[] | undefined
  /** The payments still belong to the previous view. */
  outdated: boolean
  trailHref: (paymentId: string) => string
  onOpen: (paymentId: string) => void
  /** Shown when there are no payments. */
  empty: ReactNode
}

export function PaymentsTable({ payments, outdated, trailHref, onOpen, empty }: PaymentsTableProps) {
  return (
    <table
      className={styles.table}
      aria-busy={payments === undefined || outdated}
      data-outdated={outdated ? '' : undefined}
      data-test-id="payments-table"
    >
      <caption className="visually-hidden">Payments. A payment's link opens its audit trail.</caption>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column} scope="col" data-numeric={numeric.has(column) ? '' : undefined}>
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {payments === undefined && SKELETON_ROWS.map((key) => <SkeletonRow key={key} />)}
        {payments?.length === 0 && (
          <tr className={styles.empty}>
            <td colSpan={columns.length}>{empty}</td>
          </tr>
        )}
        {payments?.map((payment) => (
          <PaymentsTableRow
            key={payment.payment_id}
            payment={payment}
            href={trailHref(payment.payment_id)}
            onOpen={onOpen}
          />
        ))}
      </tbody>
    </table>
  )
}

function SkeletonRow() {
  return (
    <tr className={styles.skeleton}>
      {columns.map((column) => (
        <td key={column}>
          <span className={styles.bone} />
        </td>
      ))}
    </tr>
  )
}
