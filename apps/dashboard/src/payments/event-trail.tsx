// A payment's audit trail: every event of the payment in order of arrival, with its effect.
import type { ExternalPayment } from '@sluice/contracts'
import { type MouseEvent, useCallback, useId, useLayoutEffect, useRef } from 'react'
import { ApiError, isClosed } from '../api.ts'
import { Button } from '../design/button.tsx'
import { CopyButton } from '../design/copy-button.tsx'
import { CloseIcon, WarningIcon } from '../design/icons.tsx'
import { Notice } from '../design/notice.tsx'
import { formatCount, formatMoney, showId } from '../format.ts'
import styles from './event-trail.module.css'
import { ClosedState } from './payments-states.tsx'
import { useStandingError, useTrail } from './queries.ts'
import { StatusBadge } from './status.tsx'
import { TrailEvent } from './trail-event.tsx'

interface EventTrailProps {
  paymentId: string
  /** Undefined if the list doesn't contain the payment. */
  payment: ExternalPayment | undefined
  onClose: () => void
  /** Called after closing if no element regained the focus. */
  onFocusLost: (paymentId: string) => void
  onRetry: () => void
}

export function EventTrail({ paymentId, payment, onClose, onFocusLost, onRetry }: EventTrailProps) {
  const focusLost = useCallback(() => onFocusLost(paymentId), [onFocusLost, paymentId])
  const dialog = useModal(focusLost)
  const titleId = useId()

  function closeOnBackdrop(event: MouseEvent) {
    if (event.target === dialog.current) onClose()
  }

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape and the button close it by keyboard.
    <dialog
      ref={dialog}
      className={styles.sheet}
      tabIndex={-1}
      aria-labelledby={titleId}
      data-test-id="event-trail"
      onClick={closeOnBackdrop}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <div className={styles.content}>
        <header className={styles.header}>
          <div className={styles.title}>
            <p className={styles.kicker}>Audit trail</p>
            <h2 id={titleId}>
              <bdi>{showId(paymentId)}</bdi>
            </h2>
          </div>
          <CopyButton text={paymentId} what="payment id" />
          <Button label="Close" onClick={onClose}>
            <CloseIcon />
          </Button>
        </header>
        {payment !== undefined && (
          <p className={styles.now}>
            <StatusBadge status={payment.status} />
            <strong>{formatMoney(payment.amount, payment.currency)}</strong>
            {payment.refunded_amount > 0 && (
              <span>{formatMoney(payment.refunded_amount, payment.currency)} refunded</span>
            )}
          </p>
        )}
        <Trail paymentId={paymentId} onRetry={onRetry} />
      </div>
    </dialog>
  )
}

/** Opens the dialog over the page while it is mounted. Closing it restores the focus. */
function useModal(onFocusLost: () => void) {
  const ref = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    // The dialog gets the focus, not its first button, so that the arrow keys scroll the events.
    dialog?.focus()
    return () => {
      dialog?.close()
      const focused = document.activeElement
      if (focused === document.body || dialog?.contains(focused)) onFocusLost()
    }
  }, [onFocusLost])
  return ref
}

function Trail({ paymentId, onRetry }: { paymentId: string; onRetry: () => void }) {
  const trail = useTrail(paymentId)
  const error = useStandingError(trail)
  if (error !== null) return <TrailError error={error} onRetry={onRetry} />
  if (trail.data === undefined) return <p className={styles.loading}>Reading the events …</p>
  const events = trail.data.pages.flatMap((page) => page.events)
  const total = trail.data.pages.at(-1)!.total
  return (
    <>
      {trail.error && (
        <p className={styles.stale} role="alert">
          <WarningIcon /> This may be out of date. {trail.error.message}
        </p>
      )}
      <p className={styles.count}>
        {total === 1 ? '1 event' : `${formatCount(total)} events`}, in order of arrival
      </p>
      <ol className={styles.events}>
        {events.map((event) => (
          <TrailEvent key={event.event_id} event={event} />
        ))}
      </ol>
      {trail.hasNextPage && (
        <div className={styles.more}>
          <Button inactive={trail.isFetchingNextPage} onClick={() => trail.fetchNextPage()}>
            Show more
          </Button>
          <span>
            {formatCount(events.length)} of {formatCount(total)} are shown
          </span>
        </div>
      )}
    </>
  )
}

function TrailError({ error, onRetry }: { error: Error; onRetry: () => void }) {
  if (isClosed(error)) return <ClosedState error={error} />
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Notice title="There is no such payment">
        <p>No event with this payment id has arrived yet. When one arrives, it appears here.</p>
      </Notice>
    )
  }
  return (
    <Notice tone="danger" icon={<WarningIcon />} title="The events could not be read">
      <p>{error.message}</p>
      <Button onClick={onRetry}>Try again</Button>
    </Notice>
  )
}
