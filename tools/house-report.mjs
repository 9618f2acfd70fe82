// `npm run house`: counts the places of a checkout that break the rules of docs/glossary.md and CONTRIBUTING.md.
//
//   node tools/house-report.mjs [folder] [--list] [--strict]
//
// `--list` prints each place. `--strict` exits with 1 when there are places, apart from long tests.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { badHeader, longFunctions, longSentences, replacedWords } from './house-rules.mjs'
import { root } from './process.mjs'

const FILE_LINES_MAX = 300
const FUNCTION_LINES_MAX = 60
const isCode = (file) => /\.(ts|tsx|mjs|js)$/.test(file)
const isStyle = (file) => file.endsWith('.css')
const isTest = (file) => /\.test\.tsx?$/.test(file)

/** The measures, in the order of the report. With `sizeMax`, `find` returns places of any size; larger ones count. */
const measures = [
  { title: 'words that the glossary replaces', in: () => true, find: replacedWords },
  {
    title: 'sentences over 25 words',
    in: (file) => isCode(file) || file.endsWith('.md'),
    find: longSentences,
  },
  {
    title: 'functions over 60 lines, tests apart',
    in: (file) => isCode(file) && !isTest(file),
    find: findFunctions,
    sizeMax: FUNCTION_LINES_MAX,
  },
  {
    title: 'functions over 60 lines in tests',
    in: isTest,
    find: findFunctions,
    sizeMax: FUNCTION_LINES_MAX,
    isAllowed: true,
  },
  {
    title: 'files over 300 lines, tests apart',
    in: (file) => (isCode(file) || isStyle(file)) && !isTest(file),
    find: findFile,
    sizeMax: FILE_LINES_MAX,
  },
  {
    title: 'files over 300 lines, tests',
    in: isTest,
    find: findFile,
    sizeMax: FILE_LINES_MAX,
    isAllowed: true,
  },
  {
    title: 'source files without a header sentence, or with one over 120 characters',
    in: isCode,
    find: (_, text) => badHeader(text),
  },
]

function findFunctions(_, text) {
  return longFunctions(text, 0)
}

function findFile(_, text) {
  const size = text.split('\n').length - 1
  return [{ line: 1, what: `${size} lines`, size }]
}

/** The text files that git tracks, apart from the lockfile. */
function readFiles(folder) {
  return execFileSync('git', ['-C', folder, 'ls-files', '-z'], { encoding: 'utf8', maxBuffer: 2 ** 26 })
    .split('\0')
    .filter((file) => file !== '' && !/(^|\/)package-lock\.json$|\.(png|ico|woff2?)$/.test(file))
    .filter((file) => existsSync(path.join(folder, file)))
    .map((file) => ({ file, text: readFileSync(path.join(folder, file), 'utf8') }))
}

const measure = (files) =>
  measures.map(({ title, in: isMeasured, find, sizeMax = 0, isAllowed = false }) => {
    const found = files
      .filter(({ file }) => isMeasured(file))
      .flatMap(({ file, text }) => find(file, text).map((place) => ({ file, ...place })))
    const places = found.filter(({ size }) => size === undefined || size > sizeMax)
    return { title, isAllowed, places, longest: longestOf(found) }
  })

function longestOf(places) {
  const sized = places.filter(({ size }) => size !== undefined)
  return sized.reduce((longest, place) => (place.size > (longest?.size ?? 0) ? place : longest), undefined)
}

/** "412  functions over 60 lines: longest 183, createDispatcher (packages/…:12)", and the longest when none counts. */
function summary({ title, places, longest }) {
  const detail = longest
    ? `: longest ${longest.size}, ${longest.what} (${longest.file}:${longest.line})`
    : places.length > 0
      ? `: ${frequencies(places)}`
      : ''
  return `${String(places.length).padStart(6)}  ${title}${detail}`
}

function frequencies(places) {
  const counts = Map.groupBy ? Map.groupBy(places, ({ what }) => what) : groupByWhat(places)
  return [...counts]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([what, { length }]) => `${what} ${length}`)
    .join('; ')
}

function groupByWhat(places) {
  const groups = new Map()
  for (const place of places) groups.set(place.what, [...(groups.get(place.what) ?? []), place])
  return groups
}

const args = process.argv.slice(2)
const folder = path.resolve(args.find((arg) => !arg.startsWith('--')) ?? root)
const files = readFiles(folder)
const results = measure(files)
console.log(`${folder}, ${files.length} files`)
for (const result of results) {
  console.log(summary(result))
  if (!args.includes('--list')) continue
  for (const { file, line, what, size } of result.places)
    console.log(`        ${file}:${line}  ${what}${size === undefined ? '' : ` (${size})`}`)
}
const failed = results.some(({ isAllowed, places }) => !isAllowed && places.length > 0)
if (args.includes('--strict') && failed) process.exitCode = 1
