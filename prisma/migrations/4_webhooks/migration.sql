-- Webhooks to merchants: a delivery is a row, written in the commit of what it tells of, and each of its attempts another.
ALTER TABLE "merchants" ADD COLUMN "previous_webhook_secret" VARCHAR(64);
ALTER TABLE "merchants" ADD COLUMN "previous_webhook_secret_until" TIMESTAMPTZ(6);
ALTER TABLE "merchants" ADD CONSTRAINT "merchants_previous_secret_check" CHECK (("previous_webhook_secret" IS NULL) = ("previous_webhook_secret_until" IS NULL));

CREATE TABLE "webhook_logs" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "merchant_id" UUID NOT NULL,
    "event" VARCHAR(50) NOT NULL,
    -- The exact bytes that every attempt sends.
    "payload" JSON NOT NULL,
    "status" VARCHAR(20) NOT NULL DEFAULT 'pending',
    -- Since the last manual retry.
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "last_attempt_at" TIMESTAMPTZ(3),
    "next_retry_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,
    "response_code" INTEGER,
    "response_body" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "request_id" TEXT NOT NULL,
    -- The work. A claim is an attempt's number, which never begins anew, and a lease that outlives the attempt.
    "attempt_number" INTEGER NOT NULL DEFAULT 0,
    "claimed_until" TIMESTAMPTZ(6),
    -- A manual retry that came during an attempt, and takes effect after it.
    "retry_wanted" BOOLEAN NOT NULL DEFAULT false,
    "settled_at" TIMESTAMPTZ(6),

    CONSTRAINT "webhook_logs_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "webhook_logs_status_check" CHECK ("status" IN ('pending', 'success', 'failed')),
    CONSTRAINT "webhook_logs_attempts_check" CHECK ("attempts" BETWEEN 0 AND 5 AND "attempts" <= "attempt_number"),
    CONSTRAINT "webhook_logs_due_check" CHECK (("next_retry_at" IS NOT NULL) = ("status" = 'pending')),
    CONSTRAINT "webhook_logs_settled_check" CHECK (("settled_at" IS NULL) = ("status" = 'pending')),
    CONSTRAINT "webhook_logs_retry_check" CHECK (NOT "retry_wanted" OR "claimed_until" IS NOT NULL)
);
CREATE INDEX "webhook_logs_newest_first" ON "webhook_logs"("merchant_id", "created_at" DESC);
CREATE INDEX "webhook_logs_status" ON "webhook_logs"("status");
CREATE INDEX "webhook_logs_due" ON "webhook_logs"("next_retry_at") WHERE (status = 'pending');
-- What an endpoint's deliveries are taken by: first attempts apart from retries.
CREATE INDEX "webhook_logs_open" ON "webhook_logs"("merchant_id", ("attempts" > 0), "next_retry_at") WHERE (settled_at IS NULL);

CREATE TABLE "webhook_attempts" (
    "delivery_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "duration_ms" INTEGER NOT NULL,
    "response_code" INTEGER,
    -- In place of a status: what kept an answer from coming.
    "error" VARCHAR(40),
    "response_body" TEXT,

    CONSTRAINT "webhook_attempts_pkey" PRIMARY KEY ("delivery_id", "number"),
    CONSTRAINT "webhook_attempts_outcome_check" CHECK (("response_code" IS NULL) <> ("error" IS NULL))
);

-- Moves with every commit that changes deliveries: what pages that watch ask for, beside the sequence of payment_log.
CREATE SEQUENCE "webhook_changes";

ALTER TABLE "webhook_logs" ADD CONSTRAINT "webhook_logs_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "webhook_attempts" ADD CONSTRAINT "webhook_attempts_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "webhook_logs"("id") ON DELETE CASCADE ON UPDATE RESTRICT;
