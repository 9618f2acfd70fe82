// The reference: the measured routes' schemas on a Fastify that stores nothing, in a process of its own.
import {
  createPayment,
  type Payment,
  type PaymentEventRequest,
  type PaymentRequest,
  postPaymentEvent,
  postTransaction,
  routeSchema,
  type TransactionRequest,
} from '@sluice/contracts'
import Fastify from 'fastify'

const app = Fastify({
  logger: false,
  ajv: { customOptions: { coerceTypes: false, removeAdditional: false } }, // as in the API: Ajv does not change bodies
})

app.post<{ Body: TransactionRequest }>(
  postTransaction.url,
  { schema: routeSchema(postTransaction) },
  (request, reply) => {
    reply.code(202).send({ message: 'Accepted', transaction_id: request.body.transaction_id })
  },
)

app.post<{ Body: PaymentEventRequest }>(
  postPaymentEvent.url,
  { schema: routeSchema(postPaymentEvent) },
  (request, reply) => {
    const { event_id, payment_id, event } = request.body
    reply.code(202).send({ event_id, payment_id, status: event.slice('payment.'.length), duplicate: false })
  },
)

app.post<{ Body: PaymentRequest }>(
  createPayment.url,
  { schema: routeSchema(createPayment) },
  (request, reply) => {
    const { order_id, method, vpa } = request.body
    const now = new Date().toISOString()
    const payment: Payment = {
      id: 'pay_H8sK3jD9s2L1pQrT',
      order_id,
      amount: 50000,
      currency: 'INR',
      method,
      ...(method === 'upi' ? { vpa: vpa ?? '' } : { card_network: 'visa', card_last4: '4242' }),
      status: 'pending',
      captured: false,
      refunded_amount: 0,
      error_code: null,
      error_description: null,
      created_at: now,
      updated_at: now,
    }
    reply.code(201).send(payment)
  },
)

const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.on('SIGINT', () => {}) // the benchmark stops this process
process.on('disconnect', () => process.exit())
process.send?.({ type: 'ready', url })
