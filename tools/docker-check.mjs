// A stand-in for `docker build` where there is no Docker: follows a Dockerfile's COPY and RUN lines in plain folders, one
// for each stage, so that what the images contain and start can be checked. `node tools/docker-check.mjs` builds all.
// It does not know the base images: it runs this machine's Node, as this user.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { root } from './process.mjs'

/**
 * @typedef {{ keyword: string, flags: Record<string, string>, value: string }} Instruction
 * @typedef {{ base: string, name: string | undefined, instructions: Instruction[] }} Stage
 * @typedef {{ folder: string, workdir: string, env: Record<string, string>, user: string | undefined,
 *   cmd: string[] | undefined, healthcheck: string[] | undefined }} Image
 */

/**
 * Only what our Dockerfiles use; anything else is an error rather than a wrong answer.
 * @param {string} text
 * @returns {Stage[]}
 */
export function parseDockerfile(text) {
  const lines = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ')
  /** @type {Stage[]} */
  const stages = []
  for (const line of lines.split('\n').filter((line) => line.trim() !== '')) {
    const [, keyword, rest] = /^\s*([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (keyword === undefined) throw new Error(`Not an instruction: ${line}`)
    if (keyword === 'FROM') {
      const [base, , name] = rest.split(/\s+/)
      stages.push({ base, name, instructions: [] })
    } else stages.at(-1).instructions.push({ keyword, ...splitFlags(rest) })
  }
  return stages
}

function splitFlags(rest) {
  const flags = {}
  let value = rest.trim()
  for (let match = /^--([a-z-]+)=(\S+)\s+/.exec(value); match; match = /^--([a-z-]+)=(\S+)\s+/.exec(value)) {
    flags[match[1]] = match[2]
    value = value.slice(match[0].length)
  }
  return { flags, value }
}

/**
 * Builds each image below `into`, and answers what it holds and how it runs. Like Docker, it builds only the stages that
 * the target (without one the last stage) needs, and those that several images have in common once.
 * @param {{ dockerfile: string, target?: string }[]} wanted relative to the repository
 * @param {string} into an empty folder
 * @returns {Promise<Image[]>}
 */
export async function buildImages(wanted, into) {
  const context = contextFiles()
  /** By their instructions and those of the stages that they build on. @type {Map<string, Image>} */
  const cache = new Map()
  const build = async (stages, stage) => {
    const before = stages.slice(0, stages.indexOf(stage))
    const named = new Map()
    let history = JSON.stringify(stage)
    for (const needed of before.filter(({ name }) => name && sourcesOf(stage).includes(name))) {
      const built = await build(before, needed)
      named.set(needed.name, built.image)
      history += built.history
    }
    if (!cache.has(history)) {
      cache.set(history, await buildStage(stage, path.join(into, `stage-${cache.size}`), named, context))
    }
    return { image: cache.get(history), history }
  }
  const images = []
  for (const { dockerfile, target } of wanted) {
    const stages = parseDockerfile(readFileSync(path.join(root, dockerfile), 'utf8'))
    images.push((await build(stages, stageOf(stages, target))).image)
  }
  return images
}

/**
 * The stage of that name, without one the last, as Docker chooses.
 * @param {Stage[]} stages
 * @param {string} [target]
 */
export function stageOf(stages, target) {
  const stage = target === undefined ? stages.at(-1) : stages.find(({ name }) => name === target)
  if (!stage) throw new Error(`There is no stage ${target}`)
  return stage
}

const sourcesOf = ({ base, instructions }) => [base, ...instructions.map(({ flags }) => flags.from)]

async function buildStage(stage, folder, named, context) {
  const base = named.get(stage.base)
  mkdirSync(folder, { recursive: true })
  if (base) copyTree(base.folder, folder)
  const image = { workdir: '/', env: {}, ...base, folder }
  image.env = { ...image.env }
  for (const instruction of stage.instructions) await follow(instruction, image, { named, context })
  return image
}

async function follow({ keyword, flags, value }, image, { named, context }) {
  const within = (file) => path.join(image.folder, path.resolve('/', image.workdir, file))
  switch (keyword) {
    case 'WORKDIR':
      image.workdir = path.posix.resolve('/', image.workdir, value)
      mkdirSync(within('.'), { recursive: true })
      return
    case 'ENV':
      for (const [, name, text] of value.matchAll(/(\w+)=(\S+)/g)) image.env[name] = text
      return
    case 'COPY': {
      const words = value.split(/\s+/)
      const to = words.pop()
      const from = flags.from && named.get(flags.from)
      if (flags.from && !from) throw new Error(`COPY --from=${flags.from}: no such stage before this one`)
      for (const source of words) {
        if (from) copyFromStage(path.join(from.folder, source), within(to), to)
        else copyFromContext(context, source, within(to), to)
      }
      return
    }
    case 'RUN':
      return run(value, within('.'), image.env)
    case 'USER':
      image.user = value
      return
    case 'CMD':
      image.cmd = JSON.parse(value)
      return
    case 'HEALTHCHECK':
      image.healthcheck = JSON.parse(value.replace(/^CMD\s+/, ''))
      return
    case 'EXPOSE':
      return
    default:
      throw new Error(`docker-check does not know ${keyword}`)
  }
}

const copyTree = (from, to) => cpSync(from, to, { recursive: true, verbatimSymlinks: true })

function copyFromStage(source, target, to) {
  copyTree(
    source,
    to.endsWith('/') && !to.startsWith('.') ? path.join(target, path.basename(source)) : target,
  )
}

function copyFromContext(context, source, target, to) {
  const below = context.filter((file) => file.startsWith(`${source}/`))
  for (const file of below) cpSync(path.join(root, file), path.join(target, path.relative(source, file)))
  if (below.length > 0) return
  if (!context.includes(source)) throw new Error(`COPY ${source}: not in the context (see .dockerignore)`)
  cpSync(path.join(root, source), /(^\.|\/)$/.test(to) ? path.join(target, path.basename(source)) : target)
}

/** As in a fresh container: of our environment only what npm needs to reach its cache and registry. */
function run(command, cwd, env) {
  const handedOn = Object.entries(process.env).filter(([name]) =>
    /^(PATH|HOME|TMPDIR|https?_proxy|no_proxy|npm_config_(cache|registry))$/i.test(name),
  )
  const child = spawn('sh', ['-c', command], {
    cwd,
    env: { ...Object.fromEntries(handedOn), npm_config_prefer_offline: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`RUN ${command}\nended with ${code}:\n${output}`)),
    )
  })
}

/**
 * The files that Docker would send as the build's context.
 * @returns {string[]} relative to the repository
 */
export function contextFiles() {
  const rules = readFileSync(path.join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({ keep: line.startsWith('!'), matches: globMatcher(line.replace(/^!/, '')) }))
  // The last rule that matches a path or a folder above it decides, as in Docker.
  const ignored = (file) => rules.findLast(({ matches }) => matches(file))?.keep === false
  const walk = (folder) =>
    readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const file = path.posix.join(folder, entry.name)
      if (ignored(file)) return [] // our exceptions are all at the top, so nothing below can be wanted again
      return entry.isDirectory() ? walk(file) : [file]
    })
  return walk('.')
}

function globMatcher(pattern) {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'))
  const expression = new RegExp(`^${source}(?:/|$)`)
  return (file) => expression.test(file)
}

/** Every image that docker-compose.yml builds. */
export const OUR_IMAGES = [
  { dockerfile: 'Dockerfile.api' },
  { dockerfile: 'Dockerfile.worker' },
  { dockerfile: 'Dockerfile.api', target: 'dashboard' },
]

if (process.argv[1] === import.meta.filename) {
  const into = mkdtempSync(path.join(os.tmpdir(), 'sluice-images-'))
  try {
    for (const { folder, cmd } of await buildImages(OUR_IMAGES, into)) {
      console.log(`${sizeMb(folder)} MB over the base image, runs ${cmd?.join(' ')}`)
    }
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
}

function sizeMb(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const bytes = files.reduce(
    (sum, { parentPath, name }) => sum + readFileSync(path.join(parentPath, name)).length,
    0,
  )
  return Math.round(bytes / 2 ** 20)
}
