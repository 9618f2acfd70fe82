-- Webhook secrets from before a rotation: each signs for its own day, also when the next rotation comes within it.
CREATE TABLE "previous_webhook_secrets" (
    "merchant_id" UUID NOT NULL,
    "secret" VARCHAR(64) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "previous_webhook_secrets_pkey" PRIMARY KEY ("merchant_id", "secret")
);
CREATE INDEX "previous_webhook_secrets_by_expiry" ON "previous_webhook_secrets"("expires_at");
ALTER TABLE "previous_webhook_secrets" ADD CONSTRAINT "previous_webhook_secrets_merchant_id_fkey" FOREIGN KEY ("merchant_id") REFERENCES "merchants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

INSERT INTO "previous_webhook_secrets" ("merchant_id", "secret", "expires_at")
    SELECT "id", "previous_webhook_secret", "previous_webhook_secret_until" FROM "merchants" WHERE "previous_webhook_secret" IS NOT NULL;

-- Why the last attempt got no answer, or why there was none.
ALTER TABLE "webhook_logs" ADD COLUMN "error" VARCHAR(40);
UPDATE "webhook_logs" w SET "error" = a."error" FROM "webhook_attempts" a WHERE a."delivery_id" = w."id" AND a."number" = w."attempt_number" AND a."error" IS NOT NULL;
UPDATE "webhook_logs" w SET "error" = 'no_url' WHERE "status" = 'failed' AND "attempts" < 5
    AND NOT EXISTS (SELECT FROM "webhook_attempts" a WHERE a."delivery_id" = w."id" AND a."number" = w."attempt_number");

-- What is old enough to go, without an entry for each attempt.
CREATE INDEX "webhook_attempts_at" ON "webhook_attempts" USING brin ("at");

-- Last, since nobody gets past it until the end.
ALTER TABLE "merchants" DROP CONSTRAINT "merchants_previous_secret_check", DROP COLUMN "previous_webhook_secret", DROP COLUMN "previous_webhook_secret_until";
