// The form of log lines, and what an error never shows.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createLogger } from './logger.ts'

test('lines are JSON with the level’s name and an ISO time; an error shows nothing of the row that caused it', () => {
  const out = new PassThrough()
  const log = createLogger({ logLevel: 'info' }, 'api', out)
  const err = Object.assign(new Error('violates a constraint'), {
    code: '23514',
    detail: 'Failing row contains (secret)',
  })
  log.info({ err, headers: { 'x-api-secret': 's3cret', authorization: 'Bearer t0ken' } }, 'hello')
  log.debug('not this one')
  const text = String(out.read())
  expect(JSON.parse(text)).toMatchObject({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    app: 'api',
    msg: 'hello',
    err: { message: 'violates a constraint', code: '23514' },
  })
  for (const secret of ['Failing row', 's3cret', 't0ken']) expect(text).not.toContain(secret)
})
