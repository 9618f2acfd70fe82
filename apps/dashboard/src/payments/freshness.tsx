// Shows the update mode, the time of the last fetch, and a fetch in progress. Not announced by screen readers.
import { useIsFetching } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Button } from '../design/button.tsx'
import { RefreshIcon } from '../design/icons.tsx'
import { formatFetched } from '../format.ts'
import type { LiveState } from '../live.ts'
import { useTicking } from '../ticker.ts'
import styles from './freshness.module.css'
import { PAYMENTS } from './queries.ts'

/** Quicker fetches are not shown, because the page would blink with every change. A refresh by the user always is. */
const FETCHING_SLOW_MS = 300
/** The shortest time for which a fetch is shown. */
const FETCHING_SHOWN_MS = 400

const liveLabels: Record<LiveState, { text: string; title: string }> = {
  live: { text: 'Live', title: 'The page shows changes as they happen' },
  connecting: { text: 'Connecting', title: 'The page is opening the live connection' },
  polling: {
    text: 'Not live: polls every 5 s',
    title: 'There is no live connection; the page polls every 5 seconds instead',
  },
  failing: {
    text: 'Not live, retrying',
    title: 'The last fetch failed; the page retries every 5 seconds',
  },
  closed: { text: 'Not live', title: 'The server shows no payments outside the sandbox' },
  paused: { text: 'Paused', title: 'Updates pause while this tab is hidden' },
}

interface FreshnessProps {
  live: LiveState
  /** The user requested the fetch in progress. */
  refreshing: boolean
  /** Milliseconds; undefined before the first success. */
  fetchedAt: number | undefined
  onRefresh: () => void
}

export function Freshness({ live, refreshing, fetchedAt, onRefresh }: FreshnessProps) {
  const slow = useSlow(useIsFetching({ queryKey: [PAYMENTS] }) > 0, FETCHING_SLOW_MS)
  const fetching = useLasting(refreshing || slow, FETCHING_SHOWN_MS)
  const fetched = useTicking((now) =>
    fetchedAt === undefined ? 'Not fetched yet' : formatFetched(fetchedAt, now),
  )
  return (
    <div className={styles.freshness} aria-live="off">
      <span className={styles.fetching}>
        {fetching && (
          <span data-test-id="fetching">
            <span className={styles.spinner} />
            <span>Fetching …</span>
          </span>
        )}
      </span>
      <span className={styles.live} data-live={live} title={liveLabels[live].title}>
        {liveLabels[live].text}
      </span>
      <span className={styles.fetched} data-test-id="last-fetched">
        {fetched}
      </span>
      <Button onClick={onRefresh}>
        <RefreshIcon />
        Refresh
      </Button>
    </div>
  )
}

/** True once `value` has been true for `afterMs`, until it is false. */
function useSlow(value: boolean, afterMs: number): boolean {
  const [slow, setSlow] = useState(false)
  useEffect(() => {
    if (!value) return
    const timer = setTimeout(() => setSlow(true), afterMs)
    return () => {
      clearTimeout(timer)
      setSlow(false)
    }
  }, [value, afterMs])
  return value && slow
}

/** True while `value` is true, and for at least `minimumMs` after it became true. */
function useLasting(value: boolean, minimumMs: number): boolean {
  const [shownSince, setShownSince] = useState<number>()
  useEffect(() => {
    if (value) {
      setShownSince((since) => since ?? performance.now())
      return
    }
    if (shownSince === undefined) return
    const timer = setTimeout(
      () => setShownSince(undefined),
      Math.max(0, minimumMs - (performance.now() - shownSince)),
    )
    return () => clearTimeout(timer)
  }, [value, shownSince, minimumMs])
  return value || shownSince !== undefined
}
