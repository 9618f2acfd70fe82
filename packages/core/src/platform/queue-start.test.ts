// The start of a queue object that is stopped while it connects.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createLogger } from './logger.ts'
import { startFresh } from './queue-start.ts'

test('a connect that fails because of the stop is neither logged nor retried', async () => {
  const out = new PassThrough()
  const stop = new AbortController()
  let opened = 0
  let closed = 0
  const open = () => {
    opened++
    return {
      name: 'jobs',
      waitUntilReady: () => {
        stop.abort()
        return Promise.reject(new Error('the connection is closed'))
      },
      close: async () => void closed++,
    }
  }
  const log = createLogger({ logLevel: 'debug' }, 'test', out)
  expect(await startFresh(open, { stop: stop.signal, log })).toBeUndefined()
  expect({ opened, closed, logged: out.read() }).toEqual({ opened: 1, closed: 1, logged: null })
})
