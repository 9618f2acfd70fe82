// The notices in place of the table: no payments, closed, error.
import { postPaymentEvent } from '@sluice/contracts'
import { ApiError, isClosed, publicApiUrl } from '../api.ts'
import { Button } from '../design/button.tsx'
import { CopyButton } from '../design/copy-button.tsx'
import { WarningIcon } from '../design/icons.tsx'
import { Notice } from '../design/notice.tsx'
import styles from './payments-states.module.css'
import { StatusIcon } from './status.tsx'
import type { StatusChoice } from './view.ts'

interface EmptyStateProps {
  shown: StatusChoice
  onShowAll: () => void
}

export function EmptyState({ shown, onShowAll }: EmptyStateProps) {
  if (shown === 'all') return <NoPayments />
  return (
    <Notice title={`No ${shown} payments`} icon={<StatusIcon status={shown} />}>
      <p>A payment appears here as soon as an event gives it this status.</p>
      <Button onClick={onShowAll}>Show all payments</Button>
    </Notice>
  )
}

function NoPayments() {
  const command = exampleCommand(publicApiUrl())
  return (
    <Notice title="No payments yet">
      <p>They appear here when a processor posts an event. To try it, run this in a terminal:</p>
      <div className={styles.command}>
        <pre>
          <code>{command}</code>
        </pre>
        <CopyButton text={command} what="command" />
      </div>
    </Notice>
  )
}

function exampleCommand(apiUrl: string): string {
  const event = {
    event_id: 'evt_7f3a9c2b',
    payment_id: 'pay_1001',
    event: 'payment.completed',
    amount: 25000,
    currency: 'USD',
    user_id: 'user_881',
    timestamp: 1710000000,
  }
  return [
    `curl -X POST ${apiUrl}${postPaymentEvent.url} \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d '${JSON.stringify(event, null, 2)}'`,
  ].join('\n')
}

interface ErrorStateProps {
  error: Error
  onRetry: () => void
}

/** For data that the API refuses outside the sandbox. It offers no retry, because the response would be the same. */
export function ClosedState({ error }: { error: Error }) {
  return (
    <Notice tone="danger" icon={<WarningIcon />} title="Closed outside the sandbox">
      <p>
        This version has no sign-in for merchants yet, so it shows no payments here. To try the page, start
        Sluice with <code>SANDBOX=true</code>: this opens the page to everyone who can reach it.
      </p>
      <p className={styles.request}>{error.message}</p>
    </Notice>
  )
}

export function ErrorState({ error, onRetry }: ErrorStateProps) {
  if (isClosed(error)) return <ClosedState error={error} />
  const requestId = error instanceof ApiError ? error.requestId : undefined
  return (
    <Notice tone="danger" icon={<WarningIcon />} title="Payments could not be read">
      <p>{error.message}</p>
      <p>The page retries automatically.</p>
      {requestId !== undefined && <p className={styles.request}>Request {requestId}</p>}
      <Button onClick={onRetry}>Try again</Button>
    </Notice>
  )
}
