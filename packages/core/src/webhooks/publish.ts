// Publishing: a delivery is written in the commit of what it tells of, with the state of that moment; after it the bell is rung.
import { randomUUID } from 'node:crypto'
import type { WebhookEventName } from '@sluice/contracts'
import type { Statement, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { bellOf } from './jobs.ts'

/** What a merchant is told. */
export interface Publication {
  merchantId: string
  event: WebhookEventName
  /** What `data` holds, as the wire shows it. */
  data: Record<string, unknown>
  /** Of the request that began it. */
  requestId: string
}

/** Deliveries that are about to be written. */
export interface Deliveries {
  /** Writes those whose merchant has a URL; answers a row for each. */
  insert: Statement
  /** After the commit. */
  enqueue: () => void
}

/** The deliveries of publications, for who sends statements in batches; others call `publish`. */
export function prepareDeliveries(webhooks: Enqueuer, publications: readonly Publication[]): Deliveries {
  const timestamp = Math.floor(Date.now() / 1000)
  const ids = publications.map(() => randomUUID())
  const insert = {
    name: 'publish-webhooks',
    text: `
      INSERT INTO webhook_logs (id, merchant_id, event, payload, request_id)
      SELECT p.id, m.id, p.event, p.payload::json, p.request_id
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS p(id, merchant_id, event, payload, request_id)
      JOIN merchants m ON m.id = p.merchant_id AND m.webhook_url IS NOT NULL
      RETURNING id, nextval('webhook_changes')`,
    values: [
      ids,
      publications.map(({ merchantId }) => merchantId),
      publications.map(({ event }) => event),
      // Written once: whoever parses it and writes it again gets the same bytes.
      publications.map(({ event, data }) => JSON.stringify({ event, timestamp, data })),
      publications.map(({ requestId }) => requestId),
    ],
  }
  // One that was not written has no effect on whoever hears its bell; what is not rung for is found by the next look.
  const enqueue = () =>
    publications.forEach(({ merchantId }, i) => {
      if (webhooks.willEnqueue()) webhooks.enqueue(bellOf(merchantId, ids[i]!))
    })
  return { insert, enqueue }
}

export interface Publishing {
  webhooks: Enqueuer
  afterCommit: (effect: () => void) => void
}

/**
 * Writes deliveries in the caller's transaction, for merchants that have a URL, and rings for them after its commit.
 * @returns how many were written
 */
export async function publish(
  tx: Tx,
  { webhooks, afterCommit }: Publishing,
  publications: readonly Publication[],
): Promise<number> {
  const { insert, enqueue } = prepareDeliveries(webhooks, publications)
  const written = await tx.query(insert)
  if (written.length > 0) afterCommit(enqueue)
  return written.length
}
