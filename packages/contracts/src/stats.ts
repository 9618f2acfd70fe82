// A merchant's statistics, for the dashboard.
import { type Static, Type } from 'typebox'
import { PaymentMethod } from './payments.ts'
import { defineRoute } from './route.ts'

/** Days of `payments_by_day`, including today. */
export const STATS_DAYS = 30

const counts = {
  total: Type.Integer({ description: 'Payments' }),
  success: Type.Integer({ description: 'Successful ones' }),
  failed: Type.Integer({ description: 'Failed ones' }),
}

const SuccessRate = Type.Integer({
  description: 'Share of successful payments, in whole percent; 0 without payments',
})

export const Stats = Type.Object(
  {
    total_transactions: Type.Integer({ description: 'Payments, of any status' }),
    total_amount: Type.Array(
      Type.Object({
        currency: Type.String(),
        amount: Type.Integer({ description: 'Minor units' }),
      }),
      { description: 'Sums of successful payments by currency, INR first; refunds are not subtracted' },
    ),
    success_rate: SuccessRate,
    payments_by_day: Type.Array(
      Type.Object({ date: Type.String({ description: 'A day, UTC' }), ...counts }),
      { description: `The last ${STATS_DAYS} days, today last, including days without payments` },
    ),
    by_method: Type.Array(Type.Object({ method: PaymentMethod, ...counts, success_rate: SuccessRate })),
  },
  {
    description: 'Statistics of all your payments',
    examples: [
      {
        total_transactions: 100,
        total_amount: [{ currency: 'INR', amount: 50000000 }],
        success_rate: 95,
        payments_by_day: [{ date: '2024-01-15', total: 100, success: 95, failed: 5 }],
        by_method: [{ method: 'upi', total: 100, success: 95, failed: 5, success_rate: 95 }],
      },
    ],
  },
)
export type Stats = Static<typeof Stats>

export const getStats = defineRoute({
  method: 'GET',
  url: '/api/v1/stats',
  operationId: 'getStats',
  summary: 'Read your statistics',
  tags: ['Payments'],
  access: 'merchant',
  response: { 200: Stats },
  errors: ['AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})
