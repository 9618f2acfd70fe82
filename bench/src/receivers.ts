// The benchmark's side of the merchants' endpoints: starts their process and asks it what came.
import { once } from 'node:events'
import { startDeafServer } from '@sluice/testing'
import { startChild } from './child.ts'
import type { Janitor } from './janitor.ts'

export type ReceiversQuestion = 'endpoints' | 'arrivals'
/** A webhook-id and when it came: milliseconds since 1970, with fractions. */
export type Arrival = [id: string, at: number]
type Endpoints = {
  healthyUrls: string[]
  /** Takes the request and never answers. */
  muteUrl: string
  /** Its name is looked up for ever, by whoever asks `nameServer`. */
  namelessUrl: string
  /** `address:port` */
  nameServer: string
}
export type ReceiversAnswer = Endpoints | Arrival[]

export type Receivers = Endpoints & {
  /** Neither takes connections nor refuses them. */
  deafUrl: string
  pid: number
  died: Promise<never>
  /** What came since this was last asked. */
  takeArrivals(): Promise<Arrival[]>
  stop(): Promise<void>
}

export async function startReceivers(janitor: Janitor): Promise<Receivers> {
  const startingDeaf = startDeafServer()
  const stopDeaf = janitor.defer(async () => (await startingDeaf.catch(() => undefined))?.close())
  const deaf = await startingDeaf
  const child = await startChild(janitor, { name: 'receivers', module: 'bench/dist/webhook-receivers.js' })
  async function ask<T extends ReceiversAnswer>(question: ReceiversQuestion): Promise<T> {
    child.process.send(question)
    const [answer] = await Promise.race([once(child.process, 'message'), child.died])
    return answer as T
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
