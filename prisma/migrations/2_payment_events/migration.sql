-- What a payment provider's events add up to; terms_* name the event that amount, currency and user_id come from.
CREATE TABLE "external_payments" (
    "payment_id" TEXT COLLATE "C" NOT NULL,
    "status" TEXT NOT NULL,
    "event_id" TEXT COLLATE "C" NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "terms_status" TEXT NOT NULL,
    "terms_event_id" TEXT COLLATE "C" NOT NULL,
    "terms_timestamp" BIGINT NOT NULL,
    "refunds" JSONB NOT NULL DEFAULT '{}',
    "refunded_amount" BIGINT NOT NULL DEFAULT 0,
    "events_count" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "external_payments_pkey" PRIMARY KEY ("payment_id"),
    CONSTRAINT "external_payments_status_check" CHECK ("status" IN ('pending', 'completed', 'failed', 'refunded')),
    -- Only where nothing but refunds is known do the terms come from one.
    CONSTRAINT "external_payments_terms_check" CHECK ("terms_status" IN ('pending', 'completed', 'failed') OR ("terms_status" = 'refunded' AND "status" = 'refunded')),
    CONSTRAINT "external_payments_amount_check" CHECK ("amount" BETWEEN 0 AND 999999999999),
    CONSTRAINT "external_payments_refunded_check" CHECK ("refunded_amount" >= 0 AND ("refunded_amount" = 0 OR "status" = 'refunded')),
    CONSTRAINT "external_payments_events_check" CHECK ("events_count" >= 1),
    CONSTRAINT "external_payments_updated_check" CHECK ("updated_at" >= "created_at")
);

-- Each event once, and the work that follows from it: open while followed_up_at is null. No foreign key to the payment:
-- both are written by one transaction, and checking it row by row would cost more than writing the row.
CREATE TABLE "payment_events" (
    "event_id" TEXT COLLATE "C" NOT NULL,
    "payment_id" TEXT COLLATE "C" NOT NULL,
    "ordinal" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "payload" TEXT,
    "request_id" TEXT NOT NULL,
    "deliveries" INTEGER NOT NULL DEFAULT 1,
    "received_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "status_changed" BOOLEAN NOT NULL,
    "payment_snapshot" TEXT NOT NULL,
    "enqueued_at" TIMESTAMPTZ(6),
    "followed_up_at" TIMESTAMPTZ(6),

    CONSTRAINT "payment_events_pkey" PRIMARY KEY ("event_id"),
    CONSTRAINT "payment_events_status_check" CHECK ("status" IN ('pending', 'completed', 'failed', 'refunded')),
    CONSTRAINT "payment_events_amount_check" CHECK ("amount" BETWEEN 0 AND 999999999999),
    CONSTRAINT "payment_events_timestamp_check" CHECK ("timestamp" BETWEEN 0 AND 4102444800),
    CONSTRAINT "payment_events_followed_up_check" CHECK ("followed_up_at" >= "received_at")
);

-- Moves with every commit that changes a payment or its events: what pages that watch ask for.
CREATE SEQUENCE "external_payment_changes";

-- One index for the list of one status and, status by status, for that of all.
CREATE INDEX "external_payments_newest_first" ON "external_payments"("status", "updated_at" DESC);

-- The audit trail; and no two events of a payment are counted as the same.
CREATE UNIQUE INDEX "payment_events_of_payment" ON "payment_events"("payment_id", "ordinal");

-- For retention only, so a few bytes for many pages do.
CREATE INDEX "payment_events_by_time" ON "payment_events" USING BRIN ("received_at");

-- What the dispatcher looks for, as for transactions.
CREATE INDEX "payment_events_open" ON "payment_events"("enqueued_at", "received_at") WHERE (followed_up_at IS NULL);

-- Conflicts of every kind in one table, so that they are one list.
ALTER TABLE "transaction_conflicts" DROP CONSTRAINT "transaction_conflicts_transaction_id_fkey";
ALTER TABLE "transaction_conflicts" RENAME TO "conflicts";
ALTER TABLE "conflicts" RENAME COLUMN "transaction_id" TO "id";
ALTER TABLE "conflicts" RENAME CONSTRAINT "transaction_conflicts_pkey" TO "conflicts_pkey";
ALTER INDEX "transaction_conflicts_newest_first" RENAME TO "conflicts_newest_first";
ALTER TABLE "conflicts" ADD COLUMN "kind" TEXT NOT NULL DEFAULT 'transaction';
ALTER TABLE "conflicts" ALTER COLUMN "kind" DROP DEFAULT;
ALTER TABLE "conflicts" ADD COLUMN "fields" TEXT[];
ALTER TABLE "conflicts" DROP CONSTRAINT "conflicts_pkey", ADD CONSTRAINT "conflicts_pkey" PRIMARY KEY ("kind", "id", "body_hash");
ALTER TABLE "conflicts" ADD CONSTRAINT "conflicts_kind_check" CHECK ("kind" IN ('transaction', 'payment_event', 'payment'));
