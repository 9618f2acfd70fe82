// Loaded into a worker before its own modules: its look-ups go to the name server that BENCH_NAME_SERVER names. Sluice asks
// the system's, which a benchmark may not change; everything but the address is the worker's own.
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

class Resolver extends dns.Resolver {
  constructor(options?: dns.ResolverOptions) {
    super(options)
    this.setServers([process.env.BENCH_NAME_SERVER!])
  }
}

Object.assign(dns, { Resolver })
syncBuiltinESMExports()
