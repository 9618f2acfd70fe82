// Outgoing POSTs to a receiver that responds with arbitrary bytes.
import { once } from 'node:events'
import net from 'node:net'
import { volume, waitFor } from '@sluice/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOutbound } from './outbound-http.ts'

const faults: unknown[] = []
const onFault = (fault: unknown) => void faults.push(fault)
beforeAll(() => {
  process.on('uncaughtExceptionMonitor', onFault)
  process.on('unhandledRejection', onFault)
})
afterAll(() => {
  process.off('uncaughtExceptionMonitor', onFault)
  process.off('unhandledRejection', onFault)
  expect(faults).toEqual([])
})

test('any bytes, in any pieces, give one result and no crash', async () => {
  const own = createOutbound({ allowPrivate: true, deadlineMs: 100 })
  let pieces: Uint8Array[] = []
  const fuzzer = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        for (const piece of pieces) socket.write(piece)
        if (pieces.length % 2 === 0) socket.end()
        else if (pieces.length % 3 === 0) socket.resetAndDestroy()
      })
  })
  fuzzer.listen(0, '127.0.0.1')
  await once(fuzzer, 'listening')
  const url = `http://127.0.0.1:${(fuzzer.address() as net.AddressInfo).port}/`
  const words = [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 100 Continue',
    'HTTP/1.0 304 No',
    'HTTP/1.1 101 Up',
    '\r\n',
    '\r\n\r\n',
  ]
  words.push(
    'content-length: 5',
    'transfer-encoding: chunked',
    'connection: close',
    'upgrade: h2c',
    '0\r\n\r\n',
    '5\r\nhello',
  )
  words.push('connection: upgrade', 'keep-alive: timeout=1', 'retry-after: \xff', '\n', ':', '\0')
  const piece = fc.oneof(
    fc
      .array(fc.constantFrom(...words), { maxLength: 8 })
      .map((some) => Buffer.from(some.join('\r\n'), 'latin1')),
    fc.uint8Array({ maxLength: 50 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (some) => {
      pieces = some
      const result = await own.post(url, {
        headers: { 'content-type': 'application/json' },
        body: '{"event":"webhook.test"}',
      })
      expect(result.durationMs).toBeLessThan(600)
      expect(['responded', 'failed']).toContain(result.is)
    }),
    { numRuns: volume(150) },
  )
  await own.close()
  const closed = once(fuzzer, 'close')
  fuzzer.close()
  await waitFor('connections to end', async () => closed.then(() => true))
})
