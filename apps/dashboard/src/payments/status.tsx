// A payment's status, shown by a word and a shape, not by a colour alone.
import type { ExternalPaymentStatus } from '@sluice/contracts'
import type { ReactNode } from 'react'
import { CheckIcon, ClockIcon, CrossIcon, ReturnIcon } from '../design/icons.tsx'
import styles from './status.module.css'

const icons: Record<ExternalPaymentStatus, ReactNode> = {
  pending: <ClockIcon />,
  completed: <CheckIcon />,
  failed: <CrossIcon />,
  refunded: <ReturnIcon />,
}

export const statusLabels: Record<ExternalPaymentStatus, string> = {
  pending: 'Pending',
  completed: 'Completed',
  failed: 'Failed',
  refunded: 'Refunded',
}

export function StatusIcon({ status }: { status: ExternalPaymentStatus }) {
  return <span className={`${styles.icon} ${styles[status]}`}>{icons[status]}</span>
}

export function StatusBadge({ status, ...rest }: { status: ExternalPaymentStatus; 'data-test-id'?: string }) {
  return (
    <span className={`${styles.badge} ${styles[status]}`} {...rest}>
      {icons[status]}
      {statusLabels[status]}
    </span>
  )
}
