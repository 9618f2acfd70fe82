// All invariants, as queries that return violations. They read the tables and share no code with the writers.
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
