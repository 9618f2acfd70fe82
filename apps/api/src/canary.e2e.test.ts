// Card data and secrets as canaries: sent through every route, then searched in databases, outputs and responses.
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { isLuhnValid } from '@sluice/contracts'
import {
  addMerchant,
  dumpRedis,
  type Keys,
  type MisbehavingServer,
  monitorRedis,
  openShop,
  paymentEventBody,
  queueBackends,
  runRedisCommand,
  type Shop,
  seededRandom,
  startMisbehavingServer,
  startSystem,
  type TestSystem,
  transactionBody,
  untilKnown,
  volume,
  waitFor,
} from '@sluice/testing'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const random = seededRandom('canaries')
const randomDigits = (count: number) =>
  Array.from({ length: count }, () => Math.floor(random() * 10)).join('')

/** A valid number with this prefix and length whose digits, except the last four, survive a conversion to a double. */
function cardNumber(prefix: string, length: number): string {
  const most = prefix + randomDigits(length - prefix.length - 1)
  const number = '0123456789'
    .split('')
    .map((digit) => most + digit)
    .find(isLuhnValid)!
  return String(Number(number)).startsWith(number.slice(0, -4)) ? number : cardNumber(prefix, length)
}
/** A code with a leading zero, which no number of the system has. 048 is excluded: it is in "1,048,576 bytes". */
function securityCode(length: number): string {
  const code = `0${randomDigits(length - 1)}`
  return code === '048' ? securityCode(length) : code
}

const cards = [
  { number: cardNumber('37', 15), cvv: securityCode(4) },
  { number: cardNumber('4', 19), cvv: securityCode(3) },
].map((card) => ({ ...card, expiry_month: '12', expiry_year: '2099', holder_name: 'Canary' }))
type Card = (typeof cards)[number]
/** Outside CI only one card goes through the routes. */
const sent = cards.slice(0, volume(cards.length, 1))
const grouped = (number: string, by: string) => number.replace(/\d{4}(?=\d)/g, `$&${by}`)

const inboundSecret = `whsec_${randomBytes(32).toString('base64')}`
const webhookSecret = `whsec_${randomBytes(32).toString('base64')}`
const secretsOf = (keys: Keys) => [keys['x-api-secret'], webhookSecret, inboundSecret]

/** Canaries in a text. All digits except the last four count as a card number, since those four may be kept. */
function canariesIn(text: string, secrets: readonly string[] = []): string[] {
  const together = text.replace(/(?<=\d)(?:[ +-]|%20)+(?=\d)/g, '')
  return [
    ...cards.flatMap(({ number, cvv }) => [
      ...(together.includes(number.slice(0, -4)) ? [`the number ${number}`] : []),
      ...(new RegExp(`(?<![\\w.-])${cvv}(?![\\w-])`).test(text) ? [`the CVV ${cvv}`] : []),
      ...hashesOf(number)
        .filter((hash) => text.includes(hash))
        .map((hash) => `a hash of ${number}: ${hash}`),
    ]),
    ...secrets.filter((secret) => text.includes(secret)).map((secret) => `the secret ${secret}`),
  ]
}

/** Card numbers are few enough to try all, so a hash reveals the number. */
const hashesOf = (number: string) =>
  [number, grouped(number, ' '), grouped(number, '-')].flatMap((text) =>
    ['md5', 'sha1', 'sha256', 'sha512'].flatMap((algorithm) => {
      const digest = createHash(algorithm).update(text).digest()
      return [digest.toString('hex'), digest.toString('base64'), digest.toString('base64url')]
    }),
  )

/** Fields that are kept as sent, by contract: a sender who writes a card number there has published it. */
const KEPT_WORDS = new Set(['notes', 'receipt', 'reason'])
/** Operations that return the merchant's own webhook secret. */
const RETURNS_SECRET = new Set(['getMerchant', 'putWebhook', 'regenerateWebhookSecret'])
/** Inbound events are kept as sent, with unknown fields and external ids, so only refused events carry canaries. */
const KEPT_AS_SENT = new Set(['postTransaction', 'postPaymentEvent'])
// Neither set has the Idempotency-Key or the path of an unknown route: the API must keep or repeat these.

interface Operation {
  operationId: string
  method: string
  path: string
  parameters?: { name: string; in: string }[]
  requestBody?: {
    content: Record<string, { example?: object; examples?: Record<string, { value: object }> }>
  }
}

interface Attempt {
  path?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
}

const json = { 'content-type': 'application/json' }
const asJson = (body: unknown): Attempt => ({ headers: json, body: JSON.stringify(body) })

/** Requests with a card in wrong places, and with valid and invalid cards in `card`. */
function misplaced(operation: Operation, example: Record<string, unknown>, card: Card): Attempt[] {
  const isKept = KEPT_AS_SENT.has(operation.operationId)
  const { number, cvv } = card
  const unknown = { number, cvv, card, metadata: { deep: [{ card }] }, [number]: cvv }
  const wrong = [
    card,
    [card],
    Number(number),
    { [number]: cvv },
    ...(isKept ? [] : [number, grouped(number, ' '), cvv]),
  ]
  const fields = Object.keys(example).filter((field) => !KEPT_WORDS.has(field))
  const own = fields.flatMap((field) => wrong.map((value) => ({ ...example, [field]: value })))
  const inCard = [
    card,
    { ...card, number: grouped(number, ' ') },
    { ...card, number: grouped(number, '-') },
    { ...card, number: Number(number) },
    { ...card, number: `${number.slice(0, -1)}${(Number(number.at(-1)) + 1) % 10}` },
    { ...card, number: `${number}x` },
    { ...card, number: `${number}\0` },
    { ...card, number: number.repeat(100) },
    { ...card, cvv: Number(cvv) },
    { ...card, cvv: `${cvv}7` },
    { ...card, cvv: [cvv] },
    { ...card, expiry_year: '2001' },
    { ...card, expiry_month: '13' },
    { ...card, expiry_month: number },
    { ...card, expiry_year: cvv },
    { ...card, holder_name: number },
    { ...card, holder_name: undefined },
    { ...card, nested: card },
  ].map((value) => ({ ...example, method: 'card', card: value }))
  const text = JSON.stringify({ ...example, card })
  const bodies = [
    ...own,
    ...(isKept ? [] : [{ ...unknown, ...example }, ...inCard]),
    [card],
    number,
    Number(number),
  ]
  return [
    ...bodies.map(asJson),
    { headers: json, body: text.slice(0, -2) },
    { headers: json, body: `${text},${number}` },
    { headers: json, body: `{"__proto__":${text}}` },
    { headers: json, body: Buffer.concat([Buffer.from(text), Buffer.from([0xff])]) },
    { headers: json, body: JSON.stringify({ ...example, padding: number.repeat(80_000) }) },
    { headers: { 'content-type': 'text/plain' }, body: text },
    { headers: { 'content-type': `application/json; number=${number}` }, body: text.slice(1) },
    { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `number=${number}&cvv=${cvv}` },
  ]
}

/** Requests with a card in the URL or the headers. */
function inUrlAndHeaders({ path, parameters = [] }: Operation, realPath: string, card: Card): Attempt[] {
  const { number, cvv } = card
  const names = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
  const queries = [...names.map((name) => ({ [name]: number })), { number, cvv, 'card[number]': number }]
  const paths = [number, grouped(number, '-'), encodeURIComponent(grouped(number, ' '))]
  const credentials = { 'x-api-key': number, 'x-api-secret': cvv }
  return [
    ...queries.map((query) => ({ path: `${realPath}?${new URLSearchParams(query)}` })),
    ...(path.includes('{') ? paths.map((id) => ({ path: path.replace(/\{\w+\}/g, id) })) : []),
    ...[
      credentials,
      { cookie: `sluice_session=${number}; card=${number}`, 'x-api-key': '' },
      { origin: `https://${number}.example`, referer: `https://x.example/?n=${number}` },
      { 'user-agent': number, 'x-request-id': number, 'x-card': JSON.stringify(card) },
      // A key with spaces is refused.
      { 'idempotency-key': grouped(number, ' ') },
      { 'webhook-id': number, 'webhook-signature': `v1,${number}` },
    ].map((headers) => ({ path: realPath, headers })),
  ]
}

for (const { backend, available } of queueBackends) {
  describe.skipIf(!available)(`with the queue on ${backend}`, () => {
    let system: TestSystem
    let keys: Keys
    let shop: Shop
    const responses: { to: string; status: number; text: string }[] = []
    let endpoint: MisbehavingServer
    let monitor: Awaited<ReturnType<typeof monitorRedis>> | undefined
    beforeAll(async () => {
      const env = { LOG_LEVEL: 'trace', INBOUND_WEBHOOK_SECRET: inboundSecret }
      system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, workers: 0, env })
      endpoint = await startMisbehavingServer()
      monitor = system.redis && (await monitorRedis(system.redis.url))
      const merchant = await addMerchant(system.database)
      keys = merchant.keys
      await system.database.query('UPDATE merchants SET webhook_secret = $1 WHERE id = $2', [
        webhookSecret,
        merchant.id,
      ])
      shop = openShop(system.call, keys)
    })
    afterAll(async () => {
      monitor?.end()
      await system?.stop()
      await endpoint?.close()
    })

    async function send(
      { operationId, method }: Operation,
      { path, headers, body }: Attempt,
    ): Promise<number> {
      const at = new Date()
      const signed = KEPT_AS_SENT.has(operationId) &&
        body !== undefined && {
          'webhook-id': 'msg_1',
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': new Webhook(inboundSecret).sign(
            'msg_1',
            at,
            Buffer.from(body).toString('utf8'),
          ),
        }
      const stop = new AbortController()
      const response = await fetch(system.api.url + path, {
        method,
        headers: { ...keys, ...signed, ...headers },
        ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }),
        signal: stop.signal,
      })
      const isStream = response.headers.get('content-type') === 'text/event-stream'
      const text = isStream ? '' : await response.text()
      if (isStream) stop.abort()
      responses.push({
        to: operationId,
        status: response.status,
        text: `${[...response.headers].join('\n')}\n\n${text}`,
      })
      return response.status
    }

    async function readOperations(): Promise<Operation[]> {
      const { paths } = (await (await fetch(`${system.api.url}/openapi.json`)).json()) as {
        paths: Record<string, Record<string, Operation>>
      }
      return Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
          ...operation,
          path,
          method: method.toUpperCase(),
        })),
      )
    }

    /** Sends a card through one route, in every way. */
    async function sendAll(operation: Operation, ids: Record<string, string>): Promise<void> {
      const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
        if (ids[name] === undefined) throw new Error(`${operation.path} needs a value for ${name}`)
        return ids[name]
      })
      const { example, examples = {} } = operation.requestBody?.content['application/json'] ?? {}
      const bodies = [...(example ? [example] : []), ...Object.values(examples).map(({ value }) => value)]
      for (const card of sent) {
        for (const body of bodies as Record<string, unknown>[]) {
          // A new order, since the number of payments of an order is limited.
          if ('order_id' in body) body.order_id = (await shop.order()).id
          for (const attempt of misplaced(operation, body, card)) {
            const key = { 'idempotency-key': randomUUID() }
            const keyed = { ...attempt, path, headers: { ...key, ...attempt.headers } }
            const status = await send(operation, keyed)
            // The same request is replayed; another request with its key is refused.
            if (status !== 201) continue
            await send(operation, keyed)
            await send(operation, { ...keyed, body: JSON.stringify({ ...body, card, vpa: 'other@bank' }) })
          }
        }
        for (const attempt of inUrlAndHeaders(operation, path, card)) {
          const [body] = bodies
          const isGet = operation.method === 'GET' || body === undefined
          await send(
            operation,
            isGet ? attempt : { ...asJson(body), ...attempt, headers: { ...json, ...attempt.headers } },
          )
        }
      }
    }

    const pointWebhooks = () =>
      system.database.query('UPDATE merchants SET webhook_url = $1 WHERE api_key = $2', [
        endpoint.url('ok'),
        keys['x-api-key'],
      ])

    async function addWebhook(): Promise<string> {
      await pointWebhooks()
      await untilKnown(() =>
        fetch(`${system.api.url}/api/v1/merchant/webhook/test`, { method: 'POST', headers: keys }),
      )
      const [row] = await system.database.query<{ id: string }>('SELECT id FROM webhook_logs LIMIT 1')
      return row!.id
    }

    async function dump(): Promise<{ table: string; rows: string }[]> {
      const tables = await system.database.query<{ schema: string; name: string }>(`
        SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`)
      return Promise.all(
        tables.map(async ({ schema, name }) => {
          const rows = await system.database.query<{ row: string }>(
            `SELECT t::text AS row FROM "${schema}"."${name}" t`,
          )
          return { table: `${schema}.${name}`, rows: rows.map(({ row }) => row).join('\n') }
        }),
      )
    }

    /** All canaries in stored data and outputs, each with its place. */
    async function findCanaries(): Promise<string[]> {
      const places: [string, string, string[]][] = [
        ...(await dump()).map(({ table, rows }): [string, string, string[]] => {
          // The table of merchants holds the merchant's own secrets.
          return [table, rows, table === 'public.merchants' ? [inboundSecret] : secretsOf(keys)]
        }),
        ['the output of the API', system.api.output(), secretsOf(keys)],
        ...system.workers.map((worker): [string, string, string[]] => [
          'the output of a worker',
          worker.output(),
          secretsOf(keys),
        ]),
      ]
      if (system.redis) places.push(['Redis', await dumpRedis(system.redis.url), secretsOf(keys)])
      if (monitor) places.push(['a command to Redis', monitor.output(), secretsOf(keys)])
      for (const { head, body } of endpoint.requests) {
        places.push(['a webhook', `${head}\n\n${body}`, secretsOf(keys)])
      }
      for (const { to, text } of responses) {
        places.push([`a response of ${to}`, text, RETURNS_SECRET.has(to) ? [inboundSecret] : secretsOf(keys)])
      }
      return places.flatMap(([where, text, secrets]) =>
        canariesIn(text, secrets).map((what) => `${what} in ${where}`),
      )
    }

    test('no table, Redis key, output or response contains a card number, a CVV or a secret', async () => {
      const operations = await readOperations()
      const paid = await shop.pay((await shop.order()).id)
      const inbound = [
        ['postTransaction', '/v1/webhooks/transactions', transactionBody('txn_canary')],
        ['postPaymentEvent', '/webhooks/payment', paymentEventBody('evt_canary', 'ext_canary')],
      ] as const
      for (const [operationId, path, body] of inbound) {
        const operation = operations.find((one) => one.operationId === operationId)!
        const response = await untilKnown(async () => ({
          status: await send(operation, { ...asJson(body), path }),
        }))
        expect(response).toEqual({ status: 202 })
      }
      const ids = {
        order_id: (await shop.order()).id,
        payment_id: paid.id,
        refund_id: 'rfnd_AAAAAAAAAAAAAAAA',
        transaction_id: 'txn_canary',
        webhook_id: await addWebhook(),
      }
      for (const operation of operations) await sendAll(operation, ids)
      for (const path of ['/metrics', '/openapi.json']) {
        await send({ operationId: path, method: 'GET', path }, { path: `${path}?number=${cards[0]!.number}` })
      }

      // Every route that takes cards has accepted one, and its job waits.
      for (const to of ['createPayment', 'createPublicPayment']) {
        const created = responses.filter((response) => response.to === to && response.status === 201)
        expect(created.filter(({ text }) => text.includes('"method":"card"'))).not.toEqual([])
        const codes = new Set(
          responses
            .filter((response) => response.to === to)
            .map(({ text }) => /"code":"(\w+)"/.exec(text)?.[1]),
        )
        for (const code of ['INVALID_CARD', 'EXPIRED_CARD', 'BAD_REQUEST_ERROR', 'NOT_FOUND_ERROR'])
          expect(codes).toContain(code)
      }
      expect(new Set(responses.map(({ to }) => to))).toEqual(
        new Set([...operations.map(({ operationId }) => operationId), '/metrics', '/openapi.json']),
      )
      // A busy machine may cause a 503; its text is searched like every other response.
      expect(responses.filter(({ status }) => status >= 500 && status !== 503)).toEqual([])
      expect(await findCanaries()).toEqual([])

      // The URL of the example may be in use, so webhooks go to this test's endpoint.
      await pointWebhooks()
      await system.startWorker()
      expect(await system.settle(new Set(), 60_000)).toEqual([])
      const kept = await system.database.query<{ card_last4: string }>(
        `SELECT DISTINCT card_last4 FROM payments WHERE method = 'card' AND settled_at IS NOT NULL`,
      )
      expect(kept.map(({ card_last4 }) => card_last4)).toEqual(
        expect.arrayContaining(sent.map(({ number }) => number.slice(-4))),
      )
      await waitFor('webhooks', () => endpoint.requests.some(({ body }) => body.includes('payment.success')))
      expect(await findCanaries()).toEqual([])
    })

    test('canaries are found in every form and every place', async () => {
      for (const { number, cvv } of cards) {
        for (const text of [number, grouped(number, ' '), grouped(number, '-'), `"${Number(number)}"`]) {
          expect(canariesIn(`x ${text} y`)).not.toEqual([])
        }
        for (const text of [`"cvv":"${cvv}"`, `(1,${cvv},)`, `{\\"cvv\\":\\"${cvv}\\"}`]) {
          expect(canariesIn(text)).toEqual([`the CVV ${cvv}`])
        }
      }
      expect(canariesIn('The body must be at most 1 MiB (1,048,576 bytes)')).toEqual([])
      const [card] = cards
      const body = { amount: 500, currency: 'INR', notes: { card, secret: webhookSecret } }
      const order = { operationId: 'createOrder', method: 'POST', path: '' }
      await untilKnown(async () => ({
        status: await send(order, { ...asJson(body), path: '/api/v1/orders' }),
      }))
      if (system.redis)
        await runRedisCommand(system.redis.url, ['LPUSH', 'planted', JSON.stringify({ card })])
      const found = await findCanaries()
      for (const where of [
        'public.orders',
        'a response of createOrder',
        ...(system.redis ? ['Redis', 'a command to Redis'] : []),
      ]) {
        expect(found).toContain(`the number ${card!.number} in ${where}`)
        expect(found).toContain(`the CVV ${card!.cvv} in ${where}`)
      }
      expect(found).toContain(`the secret ${webhookSecret} in public.orders`)
    })
  })
}
