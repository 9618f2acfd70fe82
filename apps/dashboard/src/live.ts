// Keeps what is on the page fresh: the stream says when to read again, polling stands in for it, and hidden pages rest.
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useState } from 'react'

/** `live`: told by the stream. `polling`: no stream just now. `paused`: nobody is looking. */
export type LiveState = 'live' | 'polling' | 'paused'

/** Without the stream this is how old the page may be: fresh enough to watch, and 12 requests a minute. */
const POLL_MS = 5_000
/** With the stream, for changes that it may have swallowed with a connection that died silently. */
const SAFETY_POLL_MS = 30_000
const REOPEN_MIN_MS = 1_000
const REOPEN_MAX_MS = 30_000

interface LiveOptions {
  /** The first part of the keys of what is read again. */
  queryKey: string
  streamUrl: string
  eventName: string
}

export function useLiveUpdates({ queryKey, streamUrl, eventName }: LiveOptions) {
  const queryClient = useQueryClient()
  const [state, setState] = useState<LiveState>(document.hidden ? 'paused' : 'polling')
  const readAgain = useCallback(async () => {
    const filters = { queryKey: [queryKey] }
    const underWay = queryClient.isFetching(filters) > 0
    await queryClient.invalidateQueries(filters, { cancelRefetch: false })
    // That only waited for reads that had begun before, and may have missed what this call is about.
    if (underWay) await queryClient.invalidateQueries(filters, { cancelRefetch: false })
  }, [queryClient, queryKey])
  const refresh = useMemo(() => coalesce(readAgain), [readAgain])

  useEffect(() => {
    let stop: (() => void) | undefined
    const follow = () => {
      stop?.()
      stop = document.hidden ? undefined : followStream({ streamUrl, eventName, refresh, onState: setState })
      if (document.hidden) setState('paused')
    }
    const resume = () => {
      follow()
      if (!document.hidden) refresh()
    }
    follow()
    document.addEventListener('visibilitychange', resume)
    return () => {
      document.removeEventListener('visibilitychange', resume)
      stop?.()
    }
  }, [streamUrl, eventName, refresh])

  return { state, refresh }
}

/** Runs one at a time. A call during a run means one more run after it, however many calls there are. */
function coalesce(run: () => Promise<void>): () => void {
  let running = false
  let again = false
  return async function refresh() {
    again = true
    if (running) return
    running = true
    while (again) {
      again = false
      await run()
    }
    running = false
  }
}

interface StreamOptions {
  streamUrl: string
  eventName: string
  refresh: () => void
  onState: (state: LiveState) => void
}

/** Listens and polls until the returned function is called. */
function followStream({ streamUrl, eventName, refresh, onState }: StreamOptions): () => void {
  let source: EventSource | undefined
  let reopenTimer: ReturnType<typeof setTimeout> | undefined
  let pollTimer: ReturnType<typeof setInterval> | undefined
  let reopenMs = REOPEN_MIN_MS
  let connected = false

  function become(state: 'live' | 'polling') {
    connected = state === 'live'
    clearInterval(pollTimer)
    pollTimer = setInterval(refresh, connected ? SAFETY_POLL_MS : POLL_MS)
    onState(state)
  }

  function open() {
    source = new EventSource(streamUrl)
    source.addEventListener('open', () => {
      reopenMs = REOPEN_MIN_MS
      become('live')
      // What changed between the last read and now was told to nobody.
      refresh()
    })
    source.addEventListener(eventName, refresh)
    source.addEventListener('error', () => {
      // Each vain try to connect again is an error, too; polling must go on through them.
      if (connected) become('polling')
      // Browsers connect again by themselves, but an answer that is no stream (401, 502) ends that for good.
      if (source?.readyState !== EventSource.CLOSED) return
      reopenTimer = setTimeout(open, reopenMs)
      reopenMs = Math.min(reopenMs * 2, REOPEN_MAX_MS)
    })
  }

  become('polling')
  open()
  return () => {
    source?.close()
    clearTimeout(reopenTimer)
    clearInterval(pollTimer)
  }
}
