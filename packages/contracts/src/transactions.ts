// Transactions: the inbound event that processors post, and the reads that testers poll.
import { type Static, Type } from 'typebox'
import { AMOUNT_MAX, Currency, ExternalId, Nullable, Page, PageQuery, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

const Amount = Type.Number({
  exclusiveMinimum: 0,
  maximum: AMOUNT_MAX,
  description: `a number of major units (150.5), greater than 0 and at most ${AMOUNT_MAX}, with at most the currency's decimals`,
  examples: [1500, 150.5],
})

const example = {
  transaction_id: 'txn_1',
  source_account: 'acc_user_789',
  destination_account: 'acc_merchant_456',
  amount: 150.5,
  currency: 'USD',
}

const contractFields = {
  transaction_id: ExternalId,
  source_account: ExternalId,
  destination_account: ExternalId,
  amount: Amount,
  currency: Currency,
}

export const TransactionRequest = Type.Object(contractFields, {
  description: 'Unknown fields are ignored, and kept in the stored payload.',
  examples: [example],
})
export type TransactionRequest = Static<typeof TransactionRequest>

export const Accepted = Type.Object(
  {
    message: Type.Literal('Accepted'),
    transaction_id: Type.String(),
    duplicate: Type.Optional(
      Type.Boolean({ description: 'true when the id was already known; nothing changed' }),
    ),
    conflict: Type.Optional(
      Type.Boolean({
        description: 'true when a field differs from the first one; operators can see the difference',
      }),
    ),
  },
  {
    description: 'The transaction is durable, by this request or an earlier one',
    examples: [{ message: 'Accepted', transaction_id: example.transaction_id }],
  },
)
export type Accepted = Static<typeof Accepted>

export const TransactionStatus = Type.Union([Type.Literal('PROCESSING'), Type.Literal('PROCESSED')])

export const Transaction = Type.Object(
  {
    ...contractFields,
    status: TransactionStatus,
    created_at: Timestamp,
    processed_at: Nullable(Timestamp),
  },
  {
    description: 'The transaction as first received, and its status',
    examples: [
      {
        ...example,
        status: 'PROCESSED',
        created_at: '2024-03-09T16:00:00.000Z',
        processed_at: '2024-03-09T16:00:30.000Z',
      },
    ],
  },
)
export type Transaction = Static<typeof Transaction>

export const postTransaction = defineRoute({
  method: 'POST',
  url: '/v1/webhooks/transactions',
  operationId: 'postTransaction',
  summary: 'Post a transaction',
  description:
    'Responds 202 when the transaction is durable; a worker processes it later. The first body of an id wins: a duplicate is 202 too and changes nothing. 503 means "unknown, send again", which is always safe.',
  tags: ['Transactions'],
  signed: true,
  body: TransactionRequest,
  response: { 202: Accepted },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getTransaction = defineRoute({
  method: 'GET',
  url: '/v1/transactions/:transaction_id',
  operationId: 'getTransaction',
  summary: 'Read a transaction and its status',
  tags: ['Transactions'],
  access: 'sandbox',
  params: Type.Object({ transaction_id: Type.String({ examples: [example.transaction_id] }) }),
  response: { 200: Transaction },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const listTransactions = defineRoute({
  method: 'GET',
  url: '/v1/transactions',
  operationId: 'listTransactions',
  summary: 'List transactions, newest first',
  tags: ['Transactions'],
  access: 'sandbox',
  querystring: PageQuery,
  response: { 200: Page(Transaction) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})
