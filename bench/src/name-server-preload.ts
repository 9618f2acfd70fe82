// Preloaded into a worker: sends its DNS queries to BENCH_NAME_SERVER instead of the system's name server.
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
