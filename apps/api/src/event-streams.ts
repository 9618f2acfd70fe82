// Server-sent events that signal "something changed", without data.
import { Readable } from 'node:stream'
import { PAYMENTS_CHANGED } from '@sluice/contracts'
import type { FastifyReply } from 'fastify'
import type { App } from './deps.ts'

/** Comments keep proxies from closing an idle stream. */
const COMMENT_INTERVAL_MS = 15_000
/** How long a browser waits before it connects again. */
const RETRY_MS = 2000
const UNREAD_CHARACTERS_MAX = 1000
const CHANGED = `event: ${PAYMENTS_CHANGED}\ndata: \n\n`

interface ChangeSource {
  listen: (listener: () => void) => () => void
  stop: () => void
}

export function openEventStreams(app: App, source: ChangeSource) {
  const streams = new Set<Readable>()
  let closing = false
  // Streams have no end of their own, so they end before the server waits for its requests.
  app.addHook('preClose', async () => {
    closing = true
    source.stop()
    for (const stream of streams) stream.push(null)
  })
  function open(reply: FastifyReply, listen: ChangeSource['listen']): void {
    const stream = new Readable({ read() {} })
    // A reader that is this far behind has an unread event already.
    const send = (text: string) => stream.readableLength < UNREAD_CHARACTERS_MAX && stream.push(text)
    stream.push(`retry: ${RETRY_MS}\n\n`)
    const unlisten = listen(() => send(CHANGED))
    const comments = setInterval(() => send(': still here\n\n'), COMMENT_INTERVAL_MS)
    streams.add(stream)
    stream.once('close', () => {
      unlisten()
      clearInterval(comments)
      streams.delete(stream)
    })
    if (closing) stream.push(null)
    reply
      .header('content-type', 'text/event-stream')
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .send(stream)
  }

  return {
    open: (reply: FastifyReply) => open(reply, source.listen),
    /** For those who may not hear of changes. */
    openSilent: (reply: FastifyReply) => open(reply, () => () => {}),
  }
}
