-- The gateway: merchants, orders, payments, refunds, and what keeps their money right whoever writes.
CREATE TABLE "merchants" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "name" VARCHAR(255) NOT NULL,
    "email" VARCHAR(255) NOT NULL,
    "api_key" VARCHAR(64) NOT NULL,
    "api_secret" VARCHAR(64) NOT NULL,
    "webhook_url" TEXT,
    "webhook_secret" VARCHAR(64),
    "password_hash" TEXT,
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "merchants_pkey" PRIMARY KEY ("id"),
    -- E-mails are looked up in lower case, so that one person is one merchant.
    CONSTRAINT "merchants_email_check" CHECK ("email" = lower("email"))
);
CREATE UNIQUE INDEX "merchants_email_key" ON "merchants"("email");
CREATE UNIQUE INDEX "merchants_api_key_key" ON "merchants"("api_key");

-- Which merchant an account of a transaction belongs to.
CREATE TABLE "merchant_accounts" (
    "account" TEXT COLLATE "C" NOT NULL,
    "merchant_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "merchant_accounts_pkey" PRIMARY KEY ("account")
);
CREATE INDEX "merchant_accounts_of_merchant" ON "merchant_accounts"("merchant_id");

-- Dashboard logins: the hash of a random token.
CREATE TABLE "sessions" (
    "token_hash" TEXT COLLATE "C" NOT NULL,
    "merchant_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("token_hash"),
    CONSTRAINT "sessions_expiry_check" CHECK ("expires_at" > "created_at")
);
CREATE INDEX "sessions_of_merchant" ON "sessions"("merchant_id");
CREATE INDEX "sessions_by_expiry" ON "sessions"("expires_at");

-- Times that go onto a wire are kept as they go there, in milliseconds.
CREATE TABLE "orders" (
    "id" VARCHAR(64) COLLATE "C" NOT NULL,
    "merchant_id" UUID NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" VARCHAR(3) NOT NULL DEFAULT 'INR',
    "receipt" VARCHAR(255),
    "notes" JSON NOT NULL DEFAULT '{}',
    "status" VARCHAR(20) NOT NULL DEFAULT 'created',
    -- The payment that may be at the bank for this order, or was paid: one at a time.
    "claimed_by" VARCHAR(64) COLLATE "C",
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "orders_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "orders_id_check" CHECK ("id" ~ '^order_[A-Za-z0-9]{16}$'),
    CONSTRAINT "orders_amount_check" CHECK ("amount" BETWEEN 1 AND 999999999999),
    CONSTRAINT "orders_status_check" CHECK ("status" IN ('created', 'paid')),
    CONSTRAINT "orders_paid_check" CHECK ("status" <> 'paid' OR "claimed_by" IS NOT NULL)
);
CREATE INDEX "orders_newest_first" ON "orders"("merchant_id", "created_at" DESC);
-- What a payment must agree with.
CREATE UNIQUE INDEX "orders_terms" ON "orders"("id", "merchant_id", "amount", "currency");

CREATE TABLE "payments" (
    "id" VARCHAR(64) COLLATE "C" NOT NULL,
    "order_id" VARCHAR(64) COLLATE "C" NOT NULL,
    "merchant_id" UUID NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" VARCHAR(3) NOT NULL DEFAULT 'INR',
    "method" VARCHAR(20) NOT NULL,
    "status" VARCHAR(20) NOT NULL DEFAULT 'created',
    "vpa" VARCHAR(255),
    "card_network" VARCHAR(20),
    "card_last4" VARCHAR(4),
    "error_code" VARCHAR(50),
    "error_description" TEXT,
    "captured" BOOLEAN NOT NULL DEFAULT false,
    -- The sum of pending and processed refunds, kept by a trigger on refunds.
    "refunded_amount" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- The work: what the simulated bank was told in place of card data, what it answered, and when that takes effect.
    "bank_scenario" VARCHAR(40),
    "bank_asked_at" TIMESTAMPTZ(6),
    "bank_answer" JSON,
    "request_id" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "enqueued_at" TIMESTAMPTZ(6),
    "settled_at" TIMESTAMPTZ(6),

    CONSTRAINT "payments_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payments_id_check" CHECK ("id" ~ '^pay_[A-Za-z0-9]{16}$'),
    CONSTRAINT "payments_amount_check" CHECK ("amount" BETWEEN 1 AND 999999999999),
    CONSTRAINT "payments_method_check" CHECK ("method" IN ('upi', 'card', 'gateway')),
    CONSTRAINT "payments_status_check" CHECK ("status" IN ('created', 'pending', 'success', 'failed')),
    -- Only payments that notifications end wait in 'created'; the others begin as 'pending'.
    CONSTRAINT "payments_created_check" CHECK ("status" <> 'created' OR "method" = 'gateway'),
    CONSTRAINT "payments_vpa_check" CHECK (("vpa" IS NOT NULL) = ("method" = 'upi')),
    CONSTRAINT "payments_card_check" CHECK (("card_network" IS NOT NULL) = ("method" = 'card') AND ("card_last4" IS NOT NULL) = ("method" = 'card')),
    CONSTRAINT "payments_card_network_check" CHECK ("card_network" IN ('visa', 'mastercard', 'amex', 'rupay', 'unknown')),
    CONSTRAINT "payments_card_last4_check" CHECK ("card_last4" ~ '^[0-9]{4}$'),
    CONSTRAINT "payments_error_check" CHECK (("error_code" IS NOT NULL) = ("status" = 'failed')),
    CONSTRAINT "payments_captured_check" CHECK (NOT "captured" OR "status" = 'success'),
    CONSTRAINT "payments_refunded_check" CHECK ("refunded_amount" BETWEEN 0 AND "amount" AND ("refunded_amount" = 0 OR "status" = 'success')),
    CONSTRAINT "payments_bank_check" CHECK ("bank_answer" IS NULL OR "bank_asked_at" IS NOT NULL),
    CONSTRAINT "payments_settled_check" CHECK (("settled_at" IS NOT NULL) = ("status" IN ('success', 'failed')))
);
CREATE INDEX "payments_order_id" ON "payments"("order_id");
CREATE INDEX "payments_status" ON "payments"("status");
CREATE INDEX "payments_newest_first" ON "payments"("merchant_id", "created_at" DESC);
-- A paid order can't be paid again.
CREATE UNIQUE INDEX "payments_one_success" ON "payments"("order_id") WHERE (status = 'success');
CREATE UNIQUE INDEX "payments_owner" ON "payments"("id", "merchant_id");
CREATE UNIQUE INDEX "payments_of_order" ON "payments"("id", "order_id");
-- What the dispatcher looks for, as for transactions.
CREATE INDEX "payments_open" ON "payments"("enqueued_at", "due_at") WHERE (settled_at IS NULL);

CREATE TABLE "refunds" (
    "id" VARCHAR(64) COLLATE "C" NOT NULL,
    "payment_id" VARCHAR(64) COLLATE "C" NOT NULL,
    "merchant_id" UUID NOT NULL,
    "amount" BIGINT NOT NULL,
    "reason" TEXT,
    "status" VARCHAR(20) NOT NULL DEFAULT 'pending',
    "error_code" VARCHAR(50),
    "error_description" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "processed_at" TIMESTAMPTZ(3),
    "bank_asked_at" TIMESTAMPTZ(6),
    "bank_answer" JSON,
    "request_id" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "enqueued_at" TIMESTAMPTZ(6),
    "settled_at" TIMESTAMPTZ(6),

    CONSTRAINT "refunds_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "refunds_id_check" CHECK ("id" ~ '^rfnd_[A-Za-z0-9]{16}$'),
    CONSTRAINT "refunds_amount_check" CHECK ("amount" BETWEEN 1 AND 999999999999),
    CONSTRAINT "refunds_status_check" CHECK ("status" IN ('pending', 'processed', 'failed')),
    CONSTRAINT "refunds_error_check" CHECK (("error_code" IS NOT NULL) = ("status" = 'failed')),
    CONSTRAINT "refunds_processed_check" CHECK (("processed_at" IS NOT NULL) = ("status" = 'processed')),
    CONSTRAINT "refunds_bank_check" CHECK ("bank_answer" IS NULL OR "bank_asked_at" IS NOT NULL),
    CONSTRAINT "refunds_settled_check" CHECK (("settled_at" IS NOT NULL) = ("status" IN ('processed', 'failed')))
);
CREATE INDEX "refunds_payment_id" ON "refunds"("payment_id");
CREATE INDEX "refunds_open" ON "refunds"("enqueued_at", "due_at") WHERE (settled_at IS NULL);

-- The history of every payment, its refunds included, with the cause of each change. Nothing of it is ever changed.
CREATE TABLE "payment_log" (
    "id" BIGSERIAL NOT NULL,
    "payment_id" VARCHAR(64) COLLATE "C" NOT NULL,
    "change" VARCHAR(40) NOT NULL,
    "refund_id" VARCHAR(64) COLLATE "C",
    "amount" BIGINT NOT NULL,
    "cause" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "payment_log_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payment_log_change_check" CHECK ("change" IN ('created', 'bank_asked', 'success', 'failed', 'captured', 'refund_created', 'refund_processed', 'refund_failed')),
    CONSTRAINT "payment_log_refund_check" CHECK (("refund_id" IS NOT NULL) = ("change" LIKE 'refund\_%'))
);
CREATE INDEX "payment_log_of_payment" ON "payment_log"("payment_id", "id");
-- Each of these happens once to a payment, or to a refund.
CREATE UNIQUE INDEX "payment_log_once" ON "payment_log"("payment_id", "change") WHERE (refund_id IS NULL);
CREATE UNIQUE INDEX "payment_log_once_for_refund" ON "payment_log"("refund_id", "change") WHERE (refund_id IS NOT NULL);

CREATE TABLE "idempotency_keys" (
    "merchant_id" UUID NOT NULL,
    -- '' for the merchant's own, the order's id for keys of its payers.
    "scope" VARCHAR(64) COLLATE "C" NOT NULL DEFAULT '',
    "key" VARCHAR(255) COLLATE "C" NOT NULL,
    -- SHA-256 (hex) of method, path and reduced body: never of card data.
    "fingerprint" VARCHAR(64) NOT NULL,
    "status" SMALLINT NOT NULL,
    -- The answer's exact bytes.
    "response" JSON NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("merchant_id", "scope", "key"),
    CONSTRAINT "idempotency_keys_status_check" CHECK ("status" BETWEEN 200 AND 299)
);
CREATE INDEX "idempotency_keys_by_expiry" ON "idempotency_keys"("expires_at");

ALTER TABLE "merchant_accounts" ADD CONSTRAINT "merchant_accounts_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "orders" ADD CONSTRAINT "orders_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
-- Only a payment of its own may hold an order.
ALTER TABLE "orders" ADD CONSTRAINT "orders_claimed_by_fkey" FOREIGN KEY ("claimed_by", "id") REFERENCES "payments"("id", "order_id") ON DELETE RESTRICT ON UPDATE RESTRICT;
-- No payment without its order, nor of another merchant, amount or currency.
ALTER TABLE "payments" ADD CONSTRAINT "payments_order_fkey" FOREIGN KEY ("order_id", "merchant_id", "amount", "currency") REFERENCES "orders"("id", "merchant_id", "amount", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "payments" ADD CONSTRAINT "payments_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "refunds" ADD CONSTRAINT "refunds_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "refunds" ADD CONSTRAINT "refunds_payment_fkey" FOREIGN KEY ("payment_id", "merchant_id") REFERENCES "payments"("id", "merchant_id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "payment_log" ADD CONSTRAINT "payment_log_payment_id_fkey" FOREIGN KEY ("payment_id") REFERENCES "payments"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "payment_log" ADD CONSTRAINT "payment_log_refund_id_fkey" FOREIGN KEY ("refund_id") REFERENCES "refunds"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The time of a change: always after the last one's on the wire, so that whoever hears of both can tell which is newer.
CREATE FUNCTION later_than(last TIMESTAMPTZ) RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS
    $$ SELECT greatest(date_trunc('milliseconds', clock_timestamp()), last + interval '1 millisecond') $$;

-- What of a payment is refunded or about to be, kept here so that the CHECK on payments holds whoever writes refunds:
-- the update locks the payment, and so refunds of one payment take turns.
CREATE FUNCTION keep_refunded_amount() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before BIGINT := CASE WHEN TG_OP <> 'INSERT' AND old.status <> 'failed' THEN old.amount ELSE 0 END;
    after BIGINT := CASE WHEN TG_OP <> 'DELETE' AND new.status <> 'failed' THEN new.amount ELSE 0 END;
BEGIN
    IF TG_OP = 'UPDATE' AND new.payment_id <> old.payment_id THEN
        RAISE EXCEPTION 'a refund cannot change its payment' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF after <> before THEN
        UPDATE payments SET refunded_amount = refunded_amount + after - before, updated_at = later_than(updated_at)
        WHERE id = coalesce(new.payment_id, old.payment_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER "keep_refunded_amount" AFTER INSERT OR UPDATE OR DELETE ON "refunds"
    FOR EACH ROW EXECUTE FUNCTION keep_refunded_amount();

-- Statuses that nothing leads away from.
CREATE FUNCTION refuse_to_move_settled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% % is % for good', TG_TABLE_NAME, old.id, old.status USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER "settled_for_good" BEFORE UPDATE OF "status" ON "payments"
    FOR EACH ROW WHEN (old.status IN ('success', 'failed') AND new.status <> old.status) EXECUTE FUNCTION refuse_to_move_settled();
CREATE TRIGGER "settled_for_good" BEFORE UPDATE OF "status" ON "refunds"
    FOR EACH ROW WHEN (old.status IN ('processed', 'failed') AND new.status <> old.status) EXECUTE FUNCTION refuse_to_move_settled();
CREATE TRIGGER "paid_for_good" BEFORE UPDATE OF "status" ON "orders"
    FOR EACH ROW WHEN (old.status = 'paid' AND new.status <> old.status) EXECUTE FUNCTION refuse_to_move_settled();

CREATE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'payment_log is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER "append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "payment_log"
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history();
