// Reading transactions in their wire form.
import { isExternalId, type PageQuery, type Transaction } from '@sluice/contracts'
import type { Prisma, Transaction as Row } from '../generated/client.ts'
import type { Viewer } from '../merchants/index.ts'
import { type Database, FIND_TIMEOUT_MS } from '../platform/database.ts'
import { unavailable } from '../platform/errors.ts'
import { withTimeout } from '../platform/with-timeout.ts'

/** The transaction, or undefined if the id is unknown or the viewer may not see it. */
export async function findTransaction(
  db: Database,
  transactionId: string,
  viewer: Viewer,
): Promise<Transaction | undefined> {
  if (!isExternalId(transactionId)) return undefined
  const find = async () =>
    db.prisma.transaction.findFirst({
      where: { transactionId, ...(await visibleTo(db, viewer)) },
      omit: { payload: true },
    })
  const row = await withTimeout(FIND_TIMEOUT_MS, find(), unavailable)
  return row === null ? undefined : onTheWire(row)
}

/** A page of the transactions that the viewer may see, newest first, and their total number. */
export async function listTransactions(
  db: Database,
  page: PageQuery,
  viewer: Viewer,
): Promise<{ data: Transaction[]; total: number }> {
  const where = await visibleTo(db, viewer)
  const [rows, total] = await Promise.all([
    db.prisma.transaction.findMany({
      where,
      orderBy: [{ createdAt: 'desc' }, { transactionId: 'asc' }],
      take: page.limit,
      skip: page.offset,
      omit: { payload: true },
    }),
    db.prisma.transaction.count({ where }),
  ])
  return { data: rows.map(onTheWire), total }
}

/** A merchant sees the transactions that name one of its accounts. */
async function visibleTo(db: Database, viewer: Viewer): Promise<Prisma.TransactionWhereInput> {
  if (viewer === 'sandbox') return {}
  const rows = await db.prisma.merchantAccount.findMany({
    where: { merchantId: viewer.id },
    select: { account: true },
  })
  const accounts = rows.map(({ account }) => account)
  return { OR: [{ sourceAccount: { in: accounts } }, { destinationAccount: { in: accounts } }] }
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
