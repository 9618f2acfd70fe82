// Publishing: writes deliveries in the caller's commit, with the state as of then, and enqueues wake-ups after it.
import { randomUUID } from 'node:crypto'
import type { WebhookEventName } from '@sluice/contracts'
import type { Statement, Tx } from '../platform/database.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { wakeUpId } from './jobs.ts'

/** A webhook to be written. */
export interface Publication {
  merchantId: string
  event: WebhookEventName
  /** The body's `data`, in wire form. */
  data: Record<string, unknown>
  /** The id of the request that caused it. */
  requestId: string
}

/** Deliveries that are about to be written. */
export interface PreparedDeliveries {
  /** Writes the deliveries whose merchant has a URL; returns one row for each. */
  insert: Statement
  /** To be called after the commit. */
  enqueue: () => void
}

const INSERT_DELIVERIES = `
  INSERT INTO webhook_logs (id, merchant_id, event, payload, request_id)
  SELECT p.id, m.id, p.event, p.payload::json, p.request_id
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS p(id, merchant_id, event, payload, request_id)
  JOIN merchants m ON m.id = p.merchant_id AND m.webhook_url IS NOT NULL
  RETURNING id, nextval('webhook_changes')`

/** The deliveries of publications, for callers that send statements in batches; others call `publish`. */
export function prepareDeliveries(
  webhooks: Enqueuer,
  publications: readonly Publication[],
): PreparedDeliveries {
  const timestamp = Math.floor(Date.now() / 1000)
  const ids = publications.map(() => randomUUID())
  const insert = {
    name: 'publish-webhooks',
    text: INSERT_DELIVERIES,
    values: [
      ids,
      publications.map(({ merchantId }) => merchantId),
      publications.map(({ event }) => event),
      // Serialised once: a receiver that parses it and serialises it again gets the same bytes.
      publications.map(({ event, data }) => JSON.stringify({ event, timestamp, data })),
      publications.map(({ requestId }) => requestId),
    ],
  }
  // A wake-up for a delivery that was not written has no effect; polling finds deliveries without a wake-up.
  const enqueue = () =>
    publications.forEach(({ merchantId }, i) => {
      if (webhooks.willEnqueue()) webhooks.enqueue(wakeUpId(merchantId, ids[i]!))
    })
  return { insert, enqueue }
}

export interface Publishing {
  webhooks: Enqueuer
  afterCommit: (effect: () => void) => void
}

/**
 * Writes deliveries in the caller's transaction, for merchants that have a URL, and enqueues their wake-ups after its
 * commit.
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
