-- What processors post to /v1/webhooks/transactions. The row is the work: PROCESSING while processed_at is null.
-- Ids are compared byte by byte (COLLATE "C"): external ids have no language, and it is the faster comparison.
CREATE TABLE "transactions" (
    "transaction_id" TEXT COLLATE "C" NOT NULL,
    "source_account" TEXT NOT NULL,
    "destination_account" TEXT NOT NULL,
    "amount" DECIMAL(16,4) NOT NULL,
    "currency" TEXT NOT NULL,
    "payload" TEXT,
    "request_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "due_at" TIMESTAMPTZ(6) NOT NULL,
    "enqueued_at" TIMESTAMPTZ(6),
    "processed_at" TIMESTAMPTZ(6),

    CONSTRAINT "transactions_pkey" PRIMARY KEY ("transaction_id"),
    CONSTRAINT "transactions_amount_check" CHECK ("amount" > 0 AND "amount" <= 999999999999),
    CONSTRAINT "transactions_due_check" CHECK ("due_at" >= "created_at"),
    CONSTRAINT "transactions_processed_check" CHECK ("processed_at" >= "due_at")
);

-- Redeliveries that contradict the first delivery: one row for each distinct body.
CREATE TABLE "transaction_conflicts" (
    "transaction_id" TEXT COLLATE "C" NOT NULL,
    "body_hash" TEXT NOT NULL,
    "payload" TEXT,
    "request_id" TEXT NOT NULL,
    "deliveries" INTEGER NOT NULL DEFAULT 1,
    "first_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "transaction_conflicts_pkey" PRIMARY KEY ("transaction_id","body_hash")
);

CREATE TABLE "worker_heartbeats" (
    "worker_id" TEXT NOT NULL,
    "hostname" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "beat_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "worker_heartbeats_pkey" PRIMARY KEY ("worker_id")
);

-- Without the id: rows of one commit share their time, and so an entry. Lists sort those few by id.
CREATE INDEX "transactions_newest_first" ON "transactions"("created_at");

-- What the dispatcher looks for: rows that never got a job, in order of due time (nulls come last, so they are read
-- backwards from the end or from the first null), and open rows whose time has come.
-- One index for both: a second one would cost more on the way in than it saves the dispatcher.
CREATE INDEX "transactions_open" ON "transactions"("enqueued_at", "due_at") WHERE (processed_at IS NULL);

CREATE INDEX "transaction_conflicts_newest_first" ON "transaction_conflicts"("last_seen_at" DESC);

ALTER TABLE "transaction_conflicts" ADD CONSTRAINT "transaction_conflicts_transaction_id_fkey" FOREIGN KEY ("transaction_id") REFERENCES "transactions"("transaction_id") ON DELETE CASCADE ON UPDATE RESTRICT;
