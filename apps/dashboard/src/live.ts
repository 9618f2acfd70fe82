// Keeps what is on the page fresh: the stream says when to read again, polling stands in for it, and hidden pages rest.
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useState } from 'react'

/** How the last reads went: what `failed` is tried again, what was `refused` is not. */
export type Health = 'good' | 'failed' | 'refused'

/** `polling`: no stream just now. `live`: told by the stream. `paused`: nobody is looking. */
type Source = 'connecting' | 'live' | 'polling' | 'paused'

/** Nothing is live while its last read failed. */
export type LiveState = Source | 'failing' | 'closed'

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
  health: Health
}

export function useLiveUpdates({ queryKey, streamUrl, eventName, health }: LiveOptions) {
  const queryClient = useQueryClient()
  const [source, setSource] = useState<Source>(document.hidden ? 'paused' : 'connecting')
  const [asked, setAsked] = useState(false)
  const readAgain = useCallback(async () => {
    const filters = { queryKey: [queryKey] }
    const underWay = queryClient.isFetching(filters) > 0
    await queryClient.invalidateQueries(filters, { cancelRefetch: false })
    // That only waited for reads that had begun before, and may have missed what this call is about.
    if (underWay) await queryClient.invalidateQueries(filters, { cancelRefetch: false })
  }, [queryClient, queryKey])
  const update = useMemo(() => coalesce(readAgain), [readAgain])
  const refresh = useCallback(async () => {
    setAsked(true)
    await update()
    setAsked(false)
  }, [update])

  useEffect(() => {
    let stop: (() => void) | undefined
    const follow = () => {
      stop?.()
      stop = undefined
      if (document.hidden) setSource('paused')
      else if (health === 'good') stop = followStream({ streamUrl, eventName, update, onSource: setSource })
      else {
        setSource('polling')
        if (health === 'failed') stop = poll(update)
      }
    }
    const resume = () => {
      follow()
      if (!document.hidden && health !== 'refused') update()
    }
    follow()
    document.addEventListener('visibilitychange', resume)
    return () => {
      document.removeEventListener('visibilitychange', resume)
      stop?.()
    }
  }, [streamUrl, eventName, update, health])

  return {
    state: stateOf(source, health),
    /** Reads again because a person wants it. */
    refresh,
    /** Such a refresh is under way. */
    asked,
  }
}

function stateOf(source: Source, health: Health): LiveState {
  if (source === 'paused' || health === 'good') return source
  return health === 'failed' ? 'failing' : 'closed'
}

/** Runs one at a time. A call during a run means one more run after it, however many calls there are. */
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
  onSource: (source: Source) => void
}

/** Listens and polls until the returned function is called. */
function followStream({ streamUrl, eventName, update, onSource }: StreamOptions): () => void {
  let stream: EventSource | undefined
  let reopenTimer: ReturnType<typeof setTimeout> | undefined
  let pollTimer: ReturnType<typeof setInterval> | undefined
  let reopenMs = REOPEN_MIN_MS
  let now: Source | undefined

  function become(source: Source) {
    now = source
    clearInterval(pollTimer)
    pollTimer = setInterval(update, source === 'live' ? SAFETY_POLL_MS : POLL_MS)
    onSource(source)
  }

  function open() {
    stream = new EventSource(streamUrl)
    stream.addEventListener('open', () => {
      reopenMs = REOPEN_MIN_MS
      become('live')
      // What changed between the last read and now was told to nobody.
      update()
    })
    stream.addEventListener(eventName, update)
    stream.addEventListener('error', () => {
      // Each vain try to connect again is an error, too; polling must go on through them.
      if (now !== 'polling') become('polling')
      // Browsers connect again by themselves, but an answer that is no stream (401, 502) ends that for good.
      if (stream?.readyState !== EventSource.CLOSED) return
      reopenTimer = setTimeout(open, reopenMs)
      reopenMs = Math.min(reopenMs * 2, REOPEN_MAX_MS)
    })
  }

  become('connecting')
  open()
  return () => {
    stream?.close()
    clearTimeout(reopenTimer)
    clearInterval(pollTimer)
  }
}
