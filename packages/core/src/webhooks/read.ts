// Reading deliveries and their attempts, in wire form.
import {
  type PageQuery,
  WEBHOOK_HISTORY_MAX,
  type Webhook,
  type WebhookWithAttempts,
} from '@sluice/contracts'
import type { WebhookLog } from '../generated/client.ts'
import type { Database } from '../platform/database.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** Whether a text has the form of a delivery's id; other texts need no query. */
export const isDeliveryId = (text: string): boolean => UUID.test(text)

export interface WebhooksFilter extends PageQuery {
  status?: string | undefined
  event?: string | undefined
}

/** A page of the merchant's deliveries, newest first, with the number of all that match. */
export async function listWebhooks(
  db: Database,
  merchantId: string,
  { limit, offset, status, event }: WebhooksFilter,
): Promise<{ data: Webhook[]; total: number }> {
  const where = {
    merchantId,
    ...(status === undefined ? {} : { status }),
    ...(event === undefined ? {} : { event }),
  }
  const [rows, total] = await Promise.all([
    db.prisma.webhookLog.findMany({
      where,
      orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
      take: limit,
      skip: offset,
      omit: { payload: true },
    }),
    db.prisma.webhookLog.count({ where }),
  ])
  return { data: rows.map(toWire), total }
}

/** The merchant's delivery with its body and its attempts, oldest first; undefined when the id is unknown. */
export async function findWebhook(
  db: Database,
  merchantId: string,
  id: string,
): Promise<WebhookWithAttempts | undefined> {
  if (!isDeliveryId(id)) return undefined
  // One snapshot: an attempt and its delivery's change are one commit, so they are read together.
  const [row, history] = await db.prisma.$transaction(
    [
      db.prisma.webhookLog.findFirst({ where: { id, merchantId } }),
      db.prisma.webhookAttempt.findMany({
        where: { deliveryId: id, delivery: { merchantId } },
        orderBy: { number: 'desc' },
        take: WEBHOOK_HISTORY_MAX,
      }),
    ],
    { isolationLevel: 'RepeatableRead' },
  )
  if (row === null) return undefined
  const { payload, ...rest } = row
  return {
    ...toWire(rest),
    payload: payload as WebhookWithAttempts['payload'],
    history: history.reverse().map((attempt) => ({
      number: attempt.number,
      at: attempt.at.toISOString(),
      duration_ms: attempt.durationMs,
      response_code: attempt.responseCode,
      error: attempt.error,
      response_body: attempt.responseBody,
    })),
  }
}

const toWire = (row: Omit<WebhookLog, 'payload'>): Webhook => ({
  id: row.id,
  event: row.event,
  status: row.status as Webhook['status'],
  attempts: row.attempts,
  created_at: row.createdAt.toISOString(),
  last_attempt_at: row.lastAttemptAt?.toISOString() ?? null,
  next_retry_at: row.nextRetryAt?.toISOString() ?? null,
  response_code: row.responseCode,
  response_body: row.responseBody,
  error: row.error,
})
