// The page of external payments: filter, summary, table, and the trail of one payment.
import { PAYMENTS_CHANGED, streamExternalPayments } from '@sluice/contracts'
import { type Ref, useCallback, useEffect, useRef } from 'react'
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
import { PAGE_SIZE, PAYMENTS, usePayments, useReadHealth, useStandingError, useSummary } from './queries.ts'
import { StatusFilter } from './status-filter.tsx'
import { SummaryBar } from './summary-bar.tsx'
import { useView, type View, viewHref } from './view.ts'

const STREAM_URL = API_PREFIX + streamExternalPayments.url

export function PaymentsPage() {
  const { view, show, openTrail, closeTrail } = useView()
  const data = usePageData(view)
  const { list, summary, live, lastPage } = data
  const heading = useRef<HTMLHeadingElement>(null)
  const table = useRef<HTMLElement>(null)
  usePageTitle(view.payment)

  // An old link, or a status that now has fewer payments, may point beyond the last page.
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
      <PageTop headingRef={heading} live={live} fetchedAt={data.fetchedAt} />
      {data.staleError && <StaleBanner error={data.staleError} />}
      <div className={styles.controls}>
        <StatusFilter
          chosen={view.status}
          counts={summary.data?.counts}
          onChoose={(status) => show({ status, page: 1 })}
        />
      </div>
      <SummaryBar shown={view.status} summary={summary.data} outdated={summary.isPlaceholderData} />
      <section className={styles.list} aria-label="List of payments" ref={table}>
        <PaymentsList view={view} data={data} show={show} onOpen={openTrail} onShowPage={showPage} />
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

/** Everything that the page reads, kept fresh by live updates. */
function usePageData(view: View) {
  const list = usePayments(view)
  const summary = useSummary(view.status)
  const live = useLiveUpdates({
    queryKey: PAYMENTS,
    streamUrl: STREAM_URL,
    eventName: PAYMENTS_CHANGED,
    health: useReadHealth([list, summary]),
  })
  const error = useStandingError(list)
  const total = list.data?.total ?? 0
  return {
    list,
    summary,
    live,
    /** Shown in place of the table. */
    error,
    /** Shown above data that may be out of date. */
    staleError: list.data !== undefined && error === null ? (list.error ?? summary.error) : undefined,
    // The older of both reads. During the read of another view, the time of the data still on the page.
    fetchedAt: useLatestDefined(Math.min(list.dataUpdatedAt, summary.dataUpdatedAt) || undefined),
    total,
    lastPage: Math.max(1, Math.ceil(total / PAGE_SIZE)),
  }
}

function usePageTitle(paymentId: string | undefined) {
  useEffect(() => {
    const title = 'Payments · Sluice'
    document.title = paymentId === undefined ? title : `${showId(paymentId)} · ${title}`
  }, [paymentId])
}

interface PaymentsListProps {
  view: View
  data: ReturnType<typeof usePageData>
  show: (change: Partial<View>) => void
  onOpen: (paymentId: string) => void
  onShowPage: (page: number) => void
}

/** The table with its pager, or the error in their place. */
function PaymentsList({ view, data, show, onOpen, onShowPage }: PaymentsListProps) {
  const { list, live, error, total, lastPage } = data
  if (error !== null) return <ErrorState error={error} onRetry={live.refresh} />
  return (
    <>
      <PaymentsTable
        payments={list.data?.payments}
        outdated={list.isPlaceholderData}
        trailHref={(payment) => viewHref({ ...view, payment })}
        onOpen={onOpen}
        empty={<EmptyState shown={view.status} onShowAll={() => show({ status: 'all', page: 1 })} />}
      />
      {total > 0 && <Pager page={Math.min(view.page, lastPage)} total={total} onShow={onShowPage} />}
    </>
  )
}

interface PageTopProps {
  headingRef: Ref<HTMLHeadingElement>
  live: ReturnType<typeof useLiveUpdates>
  fetchedAt: number | undefined
}

function PageTop({ headingRef, live, fetchedAt }: PageTopProps) {
  return (
    <div className={styles.top}>
      <div>
        <h1 ref={headingRef} tabIndex={-1}>
          Payments
        </h1>
        <p className={styles.lead}>As their processors report them, the last changed first.</p>
      </div>
      <Freshness
        live={live.state}
        refreshing={live.refreshing}
        fetchedAt={fetchedAt}
        onRefresh={live.refresh}
      />
    </div>
  )
}

function StaleBanner({ error }: { error: Error }) {
  return (
    <div className={styles.banner} role="alert">
      <WarningIcon />
      <p>
        What you see may be out of date. <span>{error.message}</span>
      </p>
    </div>
  )
}
