// For tests: a listener of a stream of changes.
import { seededKeys } from '@sluice/testing'

/** Collects the chunks of the stream, with the time of each. */
export async function listenToChanges(url: string, path = '/payments/stream') {
  const stop = new AbortController()
  const response = await fetch(url + path, { signal: stop.signal, headers: seededKeys })
  const received: Array<{ at: number; text: string }> = []
  const ended = (async () => {
    for await (const chunk of response.body!)
      received.push({ at: Date.now(), text: Buffer.from(chunk).toString() })
  })().catch(() => {})
  const changes = () => received.filter(({ text }) => text.includes('event: change\n'))
  return { response, received, changes, ended, stop: () => stop.abort() }
}
