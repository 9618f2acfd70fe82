// Reads the Dockerfiles, docker-compose.yml and package-lock.json for the tests of the images.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'

export const root = path.resolve(import.meta.dirname, '..')
export const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

export type Service = {
  image?: string
  build?: { context: string; dockerfile: string; target?: string }
  container_name?: string
  ports?: string[]
  sysctls?: Record<string, number>
  environment?: Record<string, string | number | null>
  healthcheck?: { test: string[] }
  depends_on?: Record<string, { condition: string }>
  deploy?: { replicas: string }
  volumes?: string[]
}
/** docker-compose.yml, with its anchors merged. */
export const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, unknown>
  networks: Record<string, { ipam: { config: { subnet: string; gateway: string; ip_range: string }[] } }>
}

type Instruction = { keyword: string; flags: Record<string, string>; value: string }
export type Stage = { base: string; name: string | undefined; instructions: Instruction[] }

/** Every image that docker-compose.yml builds. */
export const images = {
  api: { dockerfile: 'Dockerfile.api', target: 'api' },
  worker: { dockerfile: 'Dockerfile.worker', target: undefined },
  dashboard: { dockerfile: 'Dockerfile.api', target: 'dashboard' },
} as const
export type ImageName = keyof typeof images
export const imageNames = Object.keys(images) as ImageName[]

const KEYWORDS = ['FROM', 'WORKDIR', 'ENV', 'COPY', 'RUN', 'USER', 'EXPOSE', 'HEALTHCHECK', 'CMD']

/** The stages of a Dockerfile. It throws at each instruction that our Dockerfiles do not use. */
export function parseDockerfile(text: string): Stage[] {
  const lines = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ')
  const stages: Stage[] = []
  for (const line of lines.split('\n').filter((line) => line.trim() !== '')) {
    const [, keyword = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (!KEYWORDS.includes(keyword)) throw new Error(`Unknown instruction: ${line}`)
    if (keyword === 'FROM') {
      const [base = '', as, name] = rest.split(/\s+/)
      if (as !== undefined && as !== 'AS') throw new Error(`Expected FROM base AS name: ${line}`)
      stages.push({ base, name, instructions: [] })
      continue
    }
    const stage = stages.at(-1)
    if (stage === undefined) throw new Error(`Expected FROM first: ${line}`)
    stage.instructions.push({ keyword, ...splitFlags(rest) })
  }
  return stages
}

function splitFlags(rest: string): { flags: Record<string, string>; value: string } {
  const flags: Record<string, string> = {}
  let value = rest.trim()
  for (let match = FLAG.exec(value); match; match = FLAG.exec(value)) {
    flags[match[1]!] = match[2]!
    value = value.slice(match[0].length)
  }
  return { flags, value }
}
const FLAG = /^--([a-z-]+)=(\S+)\s+/

/** The stage that an image is made of: without a target it is the last one, as in Docker. */
export function finalStage(stages: readonly Stage[], target: string | undefined): Stage {
  const stage = target === undefined ? stages.at(-1) : stages.find(({ name }) => name === target)
  if (stage === undefined) throw new Error(`Unknown stage: ${target}`)
  return stage
}

export const stagesOf = (image: ImageName) => parseDockerfile(read(images[image].dockerfile))

export const instructionOf = ({ instructions }: Stage, keyword: string): string | undefined =>
  instructions.find((candidate) => candidate.keyword === keyword)?.value

/** The command of a health check, without its options. */
export const healthcheckOf = (stage: Stage): string[] =>
  JSON.parse(instructionOf(stage, 'HEALTHCHECK')!.replace(/^.*?CMD\s+/, ''))

export type Copy = { from: string | undefined; sources: string[]; to: string }
export const copiesOf = ({ instructions }: Stage): Copy[] =>
  instructions
    .filter(({ keyword }) => keyword === 'COPY')
    .map(({ flags, value }) => {
      const words = value.split(/\s+/)
      return { from: flags.from, sources: words.slice(0, -1), to: words.at(-1)! }
    })

/** The stage whose packages an image copies, and the npm workspace that it installs. */
export function packagesOf(image: ImageName): { stage: Stage; workspace: string } {
  const stages = stagesOf(image)
  const { from } = copiesOf(finalStage(stages, images[image].target)).find(({ to }) => to === './')!
  const stage = finalStage(stages, from)
  return { stage, workspace: /--workspace (\S+)/.exec(instructionOf(stage, 'RUN')!)![1]! }
}

type LockedPackage = {
  version?: string
  link?: boolean
  resolved?: string
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
  dev?: boolean
  devOptional?: boolean
  optional?: boolean
}
export const locked: Record<string, LockedPackage> = JSON.parse(read('package-lock.json')).packages

/** What a workspace needs at run time by package-lock.json: folders below node_modules, and our own packages' folders. */
export function productionPackages(workspace: string): { installed: string[]; own: string[] } {
  const installed = new Set<string>()
  const own = new Set<string>()
  const visit = (folder: string) => {
    const { link, resolved, dependencies, peerDependencies, peerDependenciesMeta } = locked[folder]!
    const target = link ? resolved! : folder
    const seen = link ? own : installed
    if (seen.has(target)) return
    seen.add(target)
    const details = link ? locked[target]! : { dependencies, peerDependencies, peerDependenciesMeta }
    const required = Object.keys(details.peerDependencies ?? {}).filter(
      (name) => !details.peerDependenciesMeta?.[name]?.optional,
    )
    for (const name of [...Object.keys(details.dependencies ?? {}), ...required]) {
      const found = lookUp(name, target)
      if (found !== undefined) visit(found)
      else throw new Error(`package-lock.json lacks ${name}, which ${target} needs`)
    }
  }
  visit(`node_modules/${workspace}`)
  return { installed: [...installed].sort(), own: [...own].sort() }
}

/** Node's resolution: the nearest node_modules from this folder upwards. */
function lookUp(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = path.posix.dirname(folder)) {
    const candidate = folder === '.' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (candidate in locked) return candidate
    if (folder === '.') return undefined
  }
}

/** The rules of .dockerignore in their order. */
export const ignoreRules = read('.dockerignore')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .map((line) => ({ keeps: line.startsWith('!'), pattern: line.replace(/^!/, '') }))

/** Whether Docker sends a path to the build: the last rule that matches it, or a folder above it, decides. */
export const isInContext = (file: string): boolean =>
  ignoreRules.findLast(({ pattern }) => asExpression(pattern).test(file))?.keeps ?? true

const asExpression = (pattern: string) =>
  new RegExp(
    `^${pattern
      .replaceAll('.', '\\.')
      .replaceAll(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'))}(?:/|$)`,
  )

export const exists = (file: string) => existsSync(path.join(root, file))
