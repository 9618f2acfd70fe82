// How fresh the page is: how updates come, when data was last fetched, and that a fetch is under way. Quiet for screen readers.
import { useIsFetching } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Button } from '../design/button.tsx'
import { RefreshIcon } from '../design/icons.tsx'
import { formatFetched } from '../format.ts'
import type { LiveState } from '../live.ts'
import { useTicking } from '../ticker.ts'
import styles from './freshness.module.css'
import { PAYMENTS } from './queries.ts'

/** Fetches that are quicker than this are not shown, or the page would blink with every change; unless somebody asked. */
const FETCHING_SLOW_MS = 300
/** A fetch that is shown is shown this long, so that it can be seen. */
const FETCHING_SHOWN_MS = 400

const liveLabels: Record<LiveState, { text: string; title: string }> = {
  live: { text: 'Live', title: 'Changes are shown as they happen' },
  connecting: { text: 'Connecting', title: 'The live connection is being made' },
  polling: {
    text: 'Not live: asks every 5 s',
    title: 'The live connection is not up; the page asks every 5 seconds instead',
  },
  failing: {
    text: 'Not live, trying again',
    title: 'The last fetch failed; the page tries again every 5 seconds',
  },
  closed: { text: 'Not live', title: 'The server shows no payments outside its sandbox' },
  paused: { text: 'Paused', title: 'Updates rest while this tab is hidden' },
}

interface FreshnessProps {
  live: LiveState
  /** Somebody asked for the fetch that is under way. */
  asked: boolean
  /** Milliseconds; undefined before the first success. */
  fetchedAt: number | undefined
  onRefresh: () => void
}

export function Freshness({ live, asked, fetchedAt, onRefresh }: FreshnessProps) {
  const slow = useSlow(useIsFetching({ queryKey: [PAYMENTS] }) > 0, FETCHING_SLOW_MS)
  const fetching = useLasting(asked || slow, FETCHING_SHOWN_MS)
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

/** True while `value` is, from when it has been so for `afterMs`. */
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

/** True while `value` is, and for at least `minimumMs` from when it became so. */
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
