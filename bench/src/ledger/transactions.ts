// The ledger of transactions: every acknowledged id is in the table, once, and no other id is.
import { transactionIdSql } from '../transactions.ts'
import type { LedgerKind } from './ledger.ts'

const ofRun = (run: string) => `transaction_id LIKE '%\\_${run}'`

export const transactionLedger: LedgerKind = {
  work: { table: 'transactions', begun: 'created_at', due: 'due_at', done: 'processed_at', ofRun },
  async compare(sql, { run, sent, unacknowledged }) {
    const [row] = await sql(`
      WITH ledger AS MATERIALIZED (
        SELECT n, ${transactionIdSql('n', run)} COLLATE "C" AS id FROM generate_series(0, ${sent - 1}) AS n
      ), stored AS MATERIALIZED (
        SELECT transaction_id AS id, count(*) AS copies FROM transactions WHERE ${ofRun(run)} GROUP BY 1
      ), unacknowledged AS (
        SELECT unnest('{${unacknowledged.join(',')}}'::bigint[]) AS n
      )
      SELECT count(stored.id) AS rows,
             count(*) FILTER (WHERE stored.id IS NULL AND unacknowledged.n IS NULL) AS missing,
             count(*) FILTER (WHERE stored.copies > 1) AS twice,
             count(*) FILTER (WHERE ledger.id IS NULL) AS never_sent
      FROM ledger FULL JOIN stored ON stored.id = ledger.id
      LEFT JOIN unacknowledged ON unacknowledged.n = ledger.n`)
    return {
      held: { rows: Number(row?.rows) },
      faults: [
        { count: Number(row?.missing), what: 'ACKNOWLEDGED BUT MISSING' },
        { count: Number(row?.twice), what: 'TWICE' },
        { count: Number(row?.never_sent), what: 'NEVER SENT' },
      ],
    }
  },
}
