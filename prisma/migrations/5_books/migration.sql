-- The books keep themselves: what is refunded is what the refunds say, a paid order and its payment agree, and what is
-- settled stays as it was settled, whoever writes.

-- Rows that other programs write need not come from a request.
ALTER TABLE "payments" ALTER COLUMN "request_id" SET DEFAULT '';
ALTER TABLE "refunds" ALTER COLUMN "request_id" SET DEFAULT '';
ALTER TABLE "webhook_logs" ALTER COLUMN "request_id" SET DEFAULT '';

ALTER TABLE "orders" ADD CONSTRAINT "orders_currency_check" CHECK ("currency" ~ '^[A-Z]{3}$');
ALTER TABLE "orders" ADD CONSTRAINT "orders_notes_check" CHECK (json_typeof("notes") = 'object');

-- Whether the login's password was checked: the sandbox lets its seeded merchant in with any, and nobody else.
ALTER TABLE "sessions" ADD COLUMN "password_verified" BOOLEAN NOT NULL DEFAULT false;
UPDATE "sessions" SET "password_verified" = true WHERE "merchant_id" <> '550e8400-e29b-41d4-a716-446655440000';

-- Says which row, and what about it; the name of the constraint is the trigger's.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% % %', TG_TABLE_NAME, new.id, TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
END $$;

-- What there is to count of a payment's refunds: those that failed gave their amount back.
CREATE FUNCTION refunded_amount_of(payment TEXT) RETURNS BIGINT LANGUAGE sql STABLE AS
    $$ SELECT coalesce(sum(amount), 0)::bigint FROM refunds WHERE payment_id = payment AND status <> 'failed' $$;

-- Counted instead of added to, and only once the payment is held: who held it before has committed what there is to count.
CREATE OR REPLACE FUNCTION keep_refunded_amount() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment TEXT := coalesce(new.payment_id, old.payment_id);
    counted_before BOOLEAN := TG_OP <> 'INSERT' AND old.status <> 'failed';
    counts BOOLEAN := TG_OP <> 'DELETE' AND new.status <> 'failed';
    refunded BIGINT;
BEGIN
    IF counts <> counted_before THEN
        PERFORM FROM payments WHERE id = payment FOR NO KEY UPDATE;
        refunded := refunded_amount_of(payment);
        UPDATE payments SET refunded_amount = refunded, updated_at = later_than(updated_at)
        WHERE id = payment AND refunded_amount <> refunded;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION refuse_wrong_refunded_amount() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    refunded BIGINT := refunded_amount_of(new.id);
BEGIN
    IF new.refunded_amount <> refunded THEN
        RAISE EXCEPTION 'payments % has refunds of %, not %', new.id, refunded, new.refunded_amount
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN new;
END $$;
-- Two, since only an update has a value from before; and a payment begins without refunds, at no cost.
CREATE TRIGGER "refunded_is_counted" BEFORE INSERT ON "payments"
    FOR EACH ROW WHEN (new.refunded_amount <> 0) EXECUTE FUNCTION refuse_wrong_refunded_amount();
CREATE TRIGGER "refunded_stays_counted" BEFORE UPDATE OF "refunded_amount" ON "payments"
    FOR EACH ROW WHEN (new.refunded_amount <> old.refunded_amount) EXECUTE FUNCTION refuse_wrong_refunded_amount();

CREATE TRIGGER "refund_for_good" BEFORE UPDATE OF "amount", "payment_id" ON "refunds"
    FOR EACH ROW WHEN (new.amount <> old.amount OR new.payment_id <> old.payment_id)
    EXECUTE FUNCTION refuse('keeps its amount and its payment');

CREATE TRIGGER "captured_for_good" BEFORE UPDATE OF "captured" ON "payments"
    FOR EACH ROW WHEN (old.captured AND NOT new.captured) EXECUTE FUNCTION refuse('is captured for good');
CREATE TRIGGER "captured_whole" BEFORE UPDATE OF "captured" ON "payments"
    FOR EACH ROW WHEN (new.captured AND NOT old.captured AND new.refunded_amount <> 0)
    EXECUTE FUNCTION refuse('cannot be captured: something of it is refunded');
CREATE TRIGGER "paid_by_one_for_good" BEFORE UPDATE OF "claimed_by" ON "orders"
    FOR EACH ROW WHEN (old.status = 'paid' AND new.claimed_by IS DISTINCT FROM old.claimed_by)
    EXECUTE FUNCTION refuse('is paid for good, by its payment');

-- An order and its payment are two rows, written one after the other: they must agree by the commit. Once they do they do
-- for ever, since neither status nor claim moves from there; so it is enough to look when one of them gets there.
CREATE FUNCTION refuse_unless_paid_by_its_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payments WHERE id = new.claimed_by AND order_id = new.id AND status = 'success') THEN
        RAISE EXCEPTION 'orders % is paid, and % is no successful payment of it', new.id, new.claimed_by
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER "paid_by_its_payment" AFTER INSERT OR UPDATE OF "status", "claimed_by" ON "orders"
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (new.status = 'paid') EXECUTE FUNCTION refuse_unless_paid_by_its_payment();

CREATE FUNCTION refuse_unless_it_paid_its_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM orders WHERE id = new.order_id AND claimed_by = new.id AND status = 'paid') THEN
        RAISE EXCEPTION 'payments % is successful, and did not pay %', new.id, new.order_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER "success_pays_its_order" AFTER INSERT OR UPDATE OF "status" ON "payments"
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (new.status = 'success') EXECUTE FUNCTION refuse_unless_it_paid_its_order();
