// Server-sent events that only say "something changed": an event when told to, a comment to keep proxies from closing, ended first at shutdown.
import { Readable } from 'node:stream'
import { PAYMENTS_CHANGED } from '@sluice/contracts'
import type { FastifyReply } from 'fastify'
import type { App } from './deps.ts'

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
  // Before the server waits for requests to end, which these never do by themselves.
  app.addHook('preClose', async () => {
    closing = true
    source.stop()
    for (const stream of streams) stream.push(null)
  })
  function open(reply: FastifyReply, listen: ChangeSource['listen']): void {
    const stream = new Readable({ read() {} })
    // A reader that is this far behind will be woken by what it has not read yet.
    const say = (text: string) => stream.readableLength < UNREAD_CHARACTERS_MAX && stream.push(text)
    stream.push(`retry: ${RETRY_MS}\n\n`)
    const unlisten = listen(() => say(CHANGED))
    const comments = setInterval(() => say(': still here\n\n'), COMMENT_INTERVAL_MS)
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
