// Starts the process of the merchants' endpoints, and reads from it which webhooks arrived.
import { once } from 'node:events'
import { startStoppedServer } from '@sluice/testing'
import { startChild } from './child.ts'
import type { Janitor } from './janitor.ts'

export type ReceiversRequest = 'endpoints' | 'arrivals'
/** A webhook-id and its arrival: milliseconds since 1970, with fractions. */
export type Arrival = [id: string, at: number]
type Endpoints = {
  healthyUrls: string[]
  /** Reads the request and never responds. */
  muteUrl: string
  /** Its name never resolves: `nameServer` does not respond. */
  namelessUrl: string
  /** `address:port` */
  nameServer: string
}
export type ReceiversReply = Endpoints | Arrival[]

export type Receivers = Endpoints & {
  /** Neither accepts connections nor refuses them. */
  deafUrl: string
  pid: number
  died: Promise<never>
  /** The arrivals since the last call. */
  takeArrivals(): Promise<Arrival[]>
  stop(): Promise<void>
}

export async function startReceivers(janitor: Janitor): Promise<Receivers> {
  const startingDeaf = startStoppedServer()
  const stopDeaf = janitor.defer(async () => (await startingDeaf.catch(() => undefined))?.close())
  const deaf = await startingDeaf
  const child = await startChild(janitor, { name: 'receivers', module: 'bench/dist/webhook-receivers.js' })
  async function ask<T extends ReceiversReply>(request: ReceiversRequest): Promise<T> {
    child.process.send(request)
    const [reply] = await Promise.race([once(child.process, 'message'), child.died])
    return reply as T
  }
  return {
    ...(await ask<Endpoints>('endpoints')),
    deafUrl: deaf.url,
    pid: child.pid,
    died: child.died,
    takeArrivals: () => ask<Arrival[]>('arrivals'),
    async stop() {
      await child.stop()
      await stopDeaf()
    },
  }
}
