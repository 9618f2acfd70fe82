// Keeps the page fresh: a stream event or a poll triggers a read; a hidden page does neither.
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useState } from 'react'

/** The result of the last reads. `failed` reads are retried, `refused` ones are not. */
export type ReadHealth = 'good' | 'failed' | 'refused'

/** `live`: the stream is open. `polling`: it is not. `paused`: the page is hidden. */
type UpdateMode = 'connecting' | 'live' | 'polling' | 'paused'

/** The state that the page shows. It is never `live` after a failed read. */
export type LiveState = UpdateMode | 'failing' | 'closed'

/** The interval of polls without the stream: 12 requests a minute. */
const POLL_MS = 5_000
/** The interval of polls with the stream. They find changes that a silently dead connection has lost. */
const SAFETY_POLL_MS = 30_000
const REOPEN_MIN_MS = 1_000
const REOPEN_MAX_MS = 30_000

interface LiveOptions {
  /** The first part of the keys of the queries to read again. */
  queryKey: string
  streamUrl: string
  eventName: string
  health: ReadHealth
}

export function useLiveUpdates({ queryKey, streamUrl, eventName, health }: LiveOptions) {
  const queryClient = useQueryClient()
  const [mode, setMode] = useState<UpdateMode>(document.hidden ? 'paused' : 'connecting')
  const [refreshing, setRefreshing] = useState(false)
  const readAgain = useCallback(async () => {
    const filters = { queryKey: [queryKey] }
    const underWay = queryClient.isFetching(filters) > 0
    await queryClient.invalidateQueries(filters, { cancelRefetch: false })
    // The call above only waited for reads that had begun earlier and may have missed the change, so read once more.
    if (underWay) await queryClient.invalidateQueries(filters, { cancelRefetch: false })
  }, [queryClient, queryKey])
  const update = useMemo(() => coalesce(readAgain), [readAgain])
  const refresh = useCallback(async () => {
    setRefreshing(true)
    await update()
    setRefreshing(false)
  }, [update])

  useEffect(() => {
    let stop: (() => void) | undefined
    const start = () => {
      stop?.()
      stop = undefined
      if (document.hidden) setMode('paused')
      else if (health === 'good') stop = followStream({ streamUrl, eventName, update, onMode: setMode })
      else {
        setMode('polling')
        if (health === 'failed') stop = poll(update)
      }
    }
    const onVisibility = () => {
      start()
      if (!document.hidden && health !== 'refused') update()
    }
    start()
    document.addEventListener('visibilitychange', onVisibility)
    return () => {
      document.removeEventListener('visibilitychange', onVisibility)
      stop?.()
    }
  }, [streamUrl, eventName, update, health])

  return {
    state: stateOf(mode, health),
    /** Reads again at a user's request. */
    refresh,
    /** Such a read is in progress. */
    refreshing,
  }
}

function stateOf(mode: UpdateMode, health: ReadHealth): LiveState {
  if (mode === 'paused' || health === 'good') return mode
  return health === 'failed' ? 'failing' : 'closed'
}

/** Runs one call at a time. Any number of calls during a run cause one more run after it. */
function coalesce(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let again = false
  async function runAll() {
    while (again) {
      again = false
      await run()
    }
    running = undefined
  }
  return () => {
    again = true
    running ??= runAll()
    return running
  }
}

/** Polls until the returned function is called. */
function poll(update: () => void): () => void {
  const timer = setInterval(update, POLL_MS)
  return () => clearInterval(timer)
}

interface StreamOptions {
  streamUrl: string
  eventName: string
  update: () => void
  onMode: (mode: UpdateMode) => void
}

/** Listens to the stream and polls until the returned function is called. */
function followStream({ streamUrl, eventName, update, onMode }: StreamOptions): () => void {
  let stream: EventSource | undefined
  let reopenTimer: ReturnType<typeof setTimeout> | undefined
  let pollTimer: ReturnType<typeof setInterval> | undefined
  let reopenMs = REOPEN_MIN_MS
  let mode: UpdateMode | undefined

  function switchTo(next: UpdateMode) {
    mode = next
    clearInterval(pollTimer)
    pollTimer = setInterval(update, next === 'live' ? SAFETY_POLL_MS : POLL_MS)
    onMode(next)
  }

  function open() {
    stream = new EventSource(streamUrl)
    stream.addEventListener('open', () => {
      reopenMs = REOPEN_MIN_MS
      switchTo('live')
      // The stream did not report changes between the last read and now.
      update()
    })
    stream.addEventListener(eventName, update)
    stream.addEventListener('error', () => {
      // Each failed reconnect is an error event too. Those must not restart the poll timer.
      if (mode !== 'polling') switchTo('polling')
      // Browsers reconnect by themselves, except after a response that is no stream, such as 401 or 502.
      if (stream?.readyState !== EventSource.CLOSED) return
      reopenTimer = setTimeout(open, reopenMs)
      reopenMs = Math.min(reopenMs * 2, REOPEN_MAX_MS)
    })
  }

  switchTo('connecting')
  open()
  return () => {
    stream?.close()
    clearTimeout(reopenTimer)
    clearInterval(pollTimer)
  }
}
