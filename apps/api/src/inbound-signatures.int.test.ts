// With INBOUND_WEBHOOK_SECRET, only events with a valid Standard Webhooks signature are stored.
import { randomBytes } from 'node:crypto'
import { paymentEventBody, startSystem, type TestSystem, transactionBody } from '@sluice/testing'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const secrets = Array.from({ length: 2 }, () => `whsec_${randomBytes(32).toString('base64')}`)
const kinds = [
  {
    kind: 'transactions',
    url: '/v1/webhooks/transactions',
    table: 'transactions',
    body: (id: string) => transactionBody(id),
  },
  {
    kind: 'payment events',
    url: '/webhooks/payment',
    table: 'payment_events',
    body: (id: string) => paymentEventBody(id, id),
  },
]

const sign = (secret: string, text: string, at = new Date()) => ({
  'webhook-id': 'msg_1',
  'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  'webhook-signature': new Webhook(secret).sign('msg_1', at, text),
})

describe.for(['true', 'false'])('with SANDBOX=%s', (SANDBOX) => {
  let system: TestSystem
  beforeAll(async () => {
    const env = { INBOUND_WEBHOOK_SECRET: secrets.join(' , '), SANDBOX }
    system = await startSystem({ postgresUrl: inject('postgresUrl'), workers: 0, env })
  })
  afterAll(() => system?.stop())

  const post = (url: string, text: string, headers: Record<string, string>) =>
    fetch(system.api.url + url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: text,
    }).then(async (response) => ({ status: response.status, body: (await response.json()) as object }))
  const stored = async (table: string) => (await system.database.query(`SELECT 1 FROM ${table}`)).length

  for (const { kind, url, table, body } of kinds) {
    test(`${kind} signed with either secret are accepted; the signature covers the raw bytes`, async () => {
      for (const [n, secret] of secrets.entries()) {
        const text = `  ${JSON.stringify(body(`signed_${n}`)).replace(':', ' :\n')}  `
        expect(await post(url, text, sign(secret, text))).toMatchObject({ status: 202 })
      }
      const rotating = JSON.stringify(body('signed_by_both'))
      const [one, other] = [
        sign(`whsec_${randomBytes(32).toString('base64')}`, rotating),
        sign(secrets[1]!, rotating),
      ]
      const both = {
        ...other,
        'webhook-signature': `${one['webhook-signature']} ${other['webhook-signature']}`,
      }
      expect(await post(url, rotating, both)).toMatchObject({ status: 202 })
      expect(await stored(table)).toBe(3)
    })

    test.each<[string, (text: string) => { text?: string; headers: Record<string, string> }]>([
      ['unsigned', () => ({ headers: {} })],
      [
        'signed with another secret',
        (text) => ({ headers: sign(`whsec_${randomBytes(32).toString('base64')}`, text) }),
      ],
      ['with a changed body', (text) => ({ text: text.replace('1', '2'), headers: sign(secrets[0]!, text) })],
      ['with other white space', (text) => ({ text: `${text} `, headers: sign(secrets[0]!, text) })],
      ['with another id', (text) => ({ headers: { ...sign(secrets[0]!, text), 'webhook-id': 'msg_2' } })],
      ['six minutes old', (text) => ({ headers: sign(secrets[0]!, text, new Date(Date.now() - 360_000)) })],
      [
        'six minutes in the future',
        (text) => ({ headers: sign(secrets[0]!, text, new Date(Date.now() + 360_000)) }),
      ],
      ['malformed and unsigned', () => ({ text: '{"', headers: {} })],
      ['malformed and wrongly signed', (text) => ({ text: '{"', headers: sign(secrets[0]!, text) })],
    ])(`${kind} are refused and not stored: %s`, async (_what, forge) => {
      const before = await stored(table)
      const right = JSON.stringify(body('forged_1'))
      const { text = right, headers } = forge(right)
      expect(await post(url, text, headers)).toMatchObject({
        status: 401,
        body: { error: { code: 'AUTHENTICATION_ERROR', description: expect.stringContaining('webhook-') } },
      })
      expect(await stored(table)).toBe(before)
    })

    test(`${kind}: a signed body with an invalid field gets an error that names the field`, async () => {
      const text = JSON.stringify({ ...body('wrong'), amount: '1' })
      expect(await post(url, text, sign(secrets[0]!, text))).toMatchObject({
        status: 400,
        body: { error: { field: 'amount' } },
      })
    })
  }

  test('no log contains a secret', () => {
    for (const secret of secrets) expect(system.api.output()).not.toContain(secret.slice(6))
  })
})
