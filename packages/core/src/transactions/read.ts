// Reading transactions as the wire shows them.
import { isExternalId, type PageQuery, type Transaction } from '@sluice/contracts'
import type { Transaction as Row } from '../generated/client.ts'
import { answeredWithin, type Database } from '../platform/database.ts'

const FIND_TIMEOUT_MS = 800

/** The transaction, or undefined when there is none of that id. */
export async function findTransaction(db: Database, transactionId: string): Promise<Transaction | undefined> {
  if (!isExternalId(transactionId)) return undefined
  const row = await answeredWithin(
    FIND_TIMEOUT_MS,
    db.prisma.transaction.findUnique({ where: { transactionId }, omit: { payload: true } }),
  )
  return row === null ? undefined : onTheWire(row)
}

/** A page of transactions, newest first, and how many there are in all. */
export async function listTransactions(
  db: Database,
  page: PageQuery,
): Promise<{ data: Transaction[]; total: number }> {
  const [rows, total] = await Promise.all([
    db.prisma.transaction.findMany({
      orderBy: [{ createdAt: 'desc' }, { transactionId: 'asc' }],
      take: page.limit,
      skip: page.offset,
      omit: { payload: true },
    }),
    db.prisma.transaction.count(),
  ])
  return { data: rows.map(onTheWire), total }
}

function onTheWire(row: Omit<Row, 'payload'>): Transaction {
  return {
    transaction_id: row.transactionId,
    source_account: row.sourceAccount,
    destination_account: row.destinationAccount,
    amount: row.amount.toNumber(),
    currency: row.currency,
    status: row.processedAt === null ? 'PROCESSING' : 'PROCESSED',
    created_at: row.createdAt.toISOString(),
    processed_at: row.processedAt?.toISOString() ?? null,
  }
}
