// External payments, as their processors' events tell them: filter, summary, table, and a payment's trail.
import { PAYMENTS_CHANGED, streamExternalPayments } from '@sluice/contracts'
import { useCallback, useEffect, useRef } from 'react'
import { API_PREFIX } from '../api.ts'
import { WarningIcon } from '../design/icons.tsx'
import { showId } from '../format.ts'
import { useLiveUpdates } from '../live.ts'
import { EventTrail } from './event-trail.tsx'
import { Freshness } from './freshness.tsx'
import { useLatestDefined } from './latest.ts'
import { Pager } from './pager.tsx'
import styles from './payments-page.module.css'
import { EmptyState, ErrorState } from './payments-states.tsx'
import { PaymentsTable } from './payments-table.tsx'
import { PAGE_SIZE, PAYMENTS, useHealth, usePayments, useStandingError, useSummary } from './queries.ts'
import { StatusFilter } from './status-filter.tsx'
import { SummaryBar } from './summary-bar.tsx'
import { useView, viewHref } from './view.ts'

const STREAM_URL = API_PREFIX + streamExternalPayments.url

export function PaymentsPage() {
  const { view, show, openTrail, closeTrail } = useView()
  const list = usePayments(view)
  const summary = useSummary(view.status)
  const live = useLiveUpdates({
    queryKey: PAYMENTS,
    streamUrl: STREAM_URL,
    eventName: PAYMENTS_CHANGED,
    health: useHealth([list, summary]),
  })
  const error = useStandingError(list)
  const stale = list.data !== undefined && error === null ? (list.error ?? summary.error) : undefined
  // Both were read by then; while another choice is read, the time of what is still shown.
  const fetchedAt = useLatestDefined(Math.min(list.dataUpdatedAt, summary.dataUpdatedAt) || undefined)
  const total = list.data?.total ?? 0
  const lastPage = Math.max(1, Math.ceil(total / PAGE_SIZE))
  const heading = useRef<HTMLHeadingElement>(null)
  const table = useRef<HTMLElement>(null)

  useEffect(() => {
    const title = 'Payments · Sluice'
    document.title = view.payment === undefined ? title : `${showId(view.payment)} · ${title}`
  }, [view.payment])

  // An old link, or a filter's payments have become fewer.
  const beyond = list.isSuccess && !list.isPlaceholderData && view.page > lastPage
  useEffect(() => {
    if (beyond) show({ page: lastPage }, { replace: true })
  }, [beyond, lastPage, show])

  function showPage(page: number) {
    show({ page })
    table.current?.scrollIntoView({ block: 'start' })
  }

  const focusPayment = useCallback((id: string) => {
    const link = table.current?.querySelector<HTMLElement>(`[data-payment-id="${CSS.escape(id)}"] a`)
    const target = link ?? heading.current
    target?.focus()
  }, [])

  return (
    <>
      <div className={styles.top}>
        <div>
          <h1 ref={heading} tabIndex={-1}>
            Payments
          </h1>
          <p className={styles.lead}>As their processors report them, the last changed first.</p>
        </div>
        <Freshness live={live.state} asked={live.asked} fetchedAt={fetchedAt} onRefresh={live.refresh} />
      </div>
      {stale && (
        <div className={styles.banner} role="alert">
          <WarningIcon />
          <p>
            What you see may be out of date. <span>{stale.message}</span>
          </p>
        </div>
      )}
      <div className={styles.controls}>
        <StatusFilter
          chosen={view.status}
          counts={summary.data?.counts}
          onChoose={(status) => show({ status, page: 1 })}
        />
      </div>
      <SummaryBar shown={view.status} summary={summary.data} outdated={summary.isPlaceholderData} />
      <section className={styles.list} aria-label="List of payments" ref={table}>
        {error !== null ? (
          <ErrorState error={error} onRetry={live.refresh} />
        ) : (
          <PaymentsTable
            payments={list.data?.payments}
            outdated={list.isPlaceholderData}
            trailHref={(payment) => viewHref({ ...view, payment })}
            onOpen={openTrail}
            empty={<EmptyState shown={view.status} onShowAll={() => show({ status: 'all', page: 1 })} />}
          />
        )}
        {error === null && total > 0 && (
          <Pager page={Math.min(view.page, lastPage)} total={total} onShow={showPage} />
        )}
      </section>
      {view.payment !== undefined && (
        <EventTrail
          key={view.payment}
          paymentId={view.payment}
          payment={list.data?.payments.find(({ payment_id }) => payment_id === view.payment)}
          onClose={closeTrail}
          onFocusLost={focusPayment}
          onRetry={live.refresh}
        />
      )}
    </>
  )
}
