// What must hold of money and work, as queries that answer what breaks it. They know the tables only, and nothing of the code that fills them.
import { paymentsAreTheirEvents } from './external-payments.ts'
import type { Invariant } from './invariant.ts'
import { logInvariants } from './log.ts'
import { moneyInvariants } from './money.ts'
import { workInvariants } from './work.ts'

export const invariants: readonly Invariant[] = [
  ...moneyInvariants,
  ...logInvariants,
  paymentsAreTheirEvents,
  ...workInvariants,
]
