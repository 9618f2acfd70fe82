// The results of the gateway's scenario, from which its tables are made.
import type { Cpu } from '../cpu-meter.ts'
import type { Waits } from '../ledger/ledger.ts'
import type { LoadResult } from '../load/plan.ts'
import type { BenchBackend } from '../system.ts'

/** The results of one load; `ledger` begins with "ok" when it is right. */
export type LoadOnSystem = { load: LoadResult; cpuSeconds: Cpu; settling: Waits; ledger: string }
export type LoadOnBare = { load: LoadResult; cpuSeconds: Cpu }
export type SystemRound = {
  backend: BenchBackend
  atRates: (LoadOnSystem & { rate: number })[]
  closedLoop: LoadOnSystem & { ratioToBare: number }
  /** The verifier's output; "ok" when it found no violation. */
  verified: string
}
export type GatewayRound = { bare: LoadOnBare; systems: SystemRound[] }
