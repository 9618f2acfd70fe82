// A merchant's statistics, counted by PostgreSQL at each read.
import { type PaymentMethod, STATS_DAYS, type Stats } from '@sluice/contracts'
import type { Database } from '../platform/database.ts'

interface Counts {
  total: number
  success: number
  failed: number
}

export async function readStats(db: Database, merchantId: string): Promise<Stats> {
  const [methods, amounts, days] = await Promise.all([
    db.prisma.$queryRaw<Array<Counts & { method: PaymentMethod }>>`
      SELECT method, count(*)::float8 AS total, count(*) FILTER (WHERE status = 'success')::float8 AS success,
             count(*) FILTER (WHERE status = 'failed')::float8 AS failed
      FROM payments WHERE merchant_id = ${merchantId}::uuid GROUP BY method ORDER BY method`,
    db.prisma.$queryRaw<Stats['total_amount']>`
      SELECT currency, sum(amount)::float8 AS amount FROM payments
      WHERE merchant_id = ${merchantId}::uuid AND status = 'success'
      GROUP BY currency ORDER BY currency <> 'INR', currency`,
    db.prisma.$queryRaw<Array<Counts & { date: string }>>`
      WITH days AS (
        SELECT (now() AT TIME ZONE 'UTC')::date - n AS day FROM generate_series(0, ${STATS_DAYS}::int - 1) AS n
      )
      SELECT to_char(day, 'YYYY-MM-DD') AS date, count(p.id)::float8 AS total,
             count(*) FILTER (WHERE p.status = 'success')::float8 AS success,
             count(*) FILTER (WHERE p.status = 'failed')::float8 AS failed
      FROM days LEFT JOIN payments p
        ON p.merchant_id = ${merchantId}::uuid
        AND p.created_at >= day::timestamp AT TIME ZONE 'UTC' AND p.created_at < (day + 1)::timestamp AT TIME ZONE 'UTC'
      GROUP BY day ORDER BY day`,
  ])
  const all = methods.reduce(
    (sum, { total, success }) => ({ total: sum.total + total, success: sum.success + success }),
    {
      total: 0,
      success: 0,
    },
  )
  return {
    total_transactions: all.total,
    total_amount: amounts,
    success_rate: percent(all),
    payments_by_day: days,
    by_method: methods.map((counts) => ({ ...counts, success_rate: percent(counts) })),
  }
}

const percent = ({ total, success }: Pick<Counts, 'total' | 'success'>) =>
  total === 0 ? 0 : Math.round((success / total) * 100)
