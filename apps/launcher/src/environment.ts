// The environment of the system: the process environment over `.env`, with free ports in place of 0.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { type Config, readConfig } from '@sluice/core/platform'
import { freePort, isFree } from '@sluice/embedded-postgres'
import { LaunchError } from './errors.ts'
import type { Print } from './output.ts'
import { pause } from './stop-request.ts'

export interface Environment {
  config: Config
  /** For the child processes: this process's environment with the chosen ports. */
  env: NodeJS.ProcessEnv
}

/** @throws ConfigError naming every problem at once */
export async function readEnvironment(root: string): Promise<Environment> {
  const file = path.join(root, '.env')
  if (existsSync(file)) process.loadEnvFile(file) // never overrides what is set
  const { host, port, dashboardPort, workerMetricsPort } = readConfig(process.env)
  const env = { ...process.env }
  const choose = async () =>
    String(await freePort(host).catch((error) => Promise.reject(cannotListen(host, error))))
  if (port === 0) env.PORT = await choose()
  if (dashboardPort === 0) env.DASHBOARD_PORT = await choose()
  if (workerMetricsPort === 0) env.WORKER_METRICS_PORT = await choose()
  return { config: readConfig(env), env }
}

/**
 * Refuses ports that another process listens on, before anything is started.
 * @param waitMs how long the processes of a killed launcher may take to release their ports
 * @throws LaunchError naming the port and its variable
 */
export async function requireFreePorts(
  config: Config,
  { waitMs, print, stop }: { waitMs: number; print: Print; stop: AbortSignal },
): Promise<void> {
  const { host, port, dashboardPort, workerMetricsPort } = config
  const ports = { PORT: port, DASHBOARD_PORT: dashboardPort, WORKER_METRICS_PORT: workerMetricsPort }
  requireDistinct(ports)
  const deadline = Date.now() + waitMs
  let announced = waitMs === 0
  for (const [variable, number] of Object.entries(ports)) {
    const free = () =>
      isFree(number, host).catch((error) =>
        Promise.reject(cannotListen(`${host} with ${variable} ${number}`, error)),
      )
    while (!stop.aborted && !(await free())) {
      if (Date.now() >= deadline) {
        throw new LaunchError(
          `Port ${number} is taken: stop what listens on it, or set ${variable} to another port (0 picks a free one).`,
        )
      }
      if (!announced) print(`Waiting for the processes of the last run to release port ${number} …`)
      announced = true
      await pause(200, stop)
    }
  }
}

function requireDistinct(ports: Record<string, number>): void {
  const takers = new Map<number, string>()
  for (const [variable, number] of Object.entries(ports)) {
    const taker = takers.get(number)
    if (taker !== undefined) {
      throw new LaunchError(`${taker} and ${variable} are both ${number}: give each its own.`)
    }
    takers.set(number, variable)
  }
}

const cannotListen = (where: string, error: unknown) =>
  new LaunchError(`HOST ${where} can't be listened on: ${error instanceof Error ? error.message : error}.`)
