// What stands in the table's place when there is nothing to list.
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
      <p>A payment shows up here as soon as an event gives it this status.</p>
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

/** In place of whatever the API keeps to itself outside the sandbox. There is nothing to try again. */
export function ClosedState({ error }: { error: Error }) {
  return (
    <Notice tone="danger" icon={<WarningIcon />} title="Closed outside the sandbox">
      <p>
        Payments are shown once merchants can sign in, which this version can't do yet. To try it out, start
        it with <code>SANDBOX=true</code>: that opens this page to everybody who can reach it.
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
      <p>The page keeps trying by itself.</p>
      {requestId !== undefined && <p className={styles.request}>Request {requestId}</p>}
      <Button onClick={onRetry}>Try again</Button>
    </Notice>
  )
}
