#!/usr/bin/env node
// What PRISMA_SCHEMA_ENGINE_BINARY points at: serves Prisma's CLI over JSON-RPC, in place of the downloaded engine.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createEmptyDatabase, dropDatabase, openSchemaEngine, runSql } from './engine.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { datasource: { type: 'string' }, datamodels: { type: 'string' }, version: { type: 'boolean' } },
})
const { url } = JSON.parse(values.datasource ?? '{}')

if (values.version) {
  console.log('schema-engine-wasm') // `prisma --version` waits for a line
  process.exit(0)
}

/** PostgreSQL's and Node's error codes as Prisma's. */
const prismaCodes = {
  ENOTFOUND: 'P1001',
  ECONNREFUSED: 'P1001',
  '28P01': 'P1000',
  28000: 'P1010',
  '3D000': 'P1003',
  '42P04': 'P1009',
}

if (positionals[0] === 'cli') {
  const commands = {
    'create-database': () => createEmptyDatabase(url),
    'drop-database': () => dropDatabase(url),
  }
  const command = commands[positionals[1]] ?? (() => runSql(url, 'SELECT 1'))
  await command().catch((error) => {
    // The CLI skips the first line of this output.
    console.error(JSON.stringify({ level: 'INFO', fields: { message: 'start' }, target: 'schema_engine' }))
    console.error(
      JSON.stringify({
        timestamp: new Date().toISOString(),
        level: 'ERROR',
        fields: {
          is_panic: false,
          error_code: prismaCodes[error.code],
          message: error.message || String(error.code),
        },
        target: 'schema_engine::logger',
      }),
    )
    process.exit(1)
  })
  process.exit(0)
}

const send = (message) =>
  new Promise((done) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`, done))

/** Names without a number come last. The sort is stable: the CLI's order decides between equal numbers. */
const numberOf = (name) => Number(/^\d+/.exec(name)?.[0] ?? Number.MAX_VALUE)

let engine
let printId = 1_000_000

async function call(method, params) {
  if (method === 'createDatabase') {
    await createEmptyDatabase(url)
    return { databaseName: decodeURIComponent(new URL(url).pathname.slice(1)) }
  }
  engine ??= await openSchemaEngine(url)
  // The CLI sorts alphabetically, which puts 10_x before 2_x; migrations apply by number (see compareNames in core).
  params.migrationsList?.migrationDirectories.sort((a, b) => numberOf(a.path) - numberOf(b.path))
  if (method === 'createMigration' || method === 'evaluateDataLoss') {
    // Fills the engine's schema cache; without it these two methods request a shadow database of another kind.
    await engine.devDiagnostic({ migrationsList: params.migrationsList, filters: params.filters })
    return correct(method, await engine[method](params), params)
  }
  const result = method === 'getDatabaseVersion' ? await engine.version(params) : await engine[method](params)
  if (method !== 'diff') return result
  await send({ id: ++printId, method: 'print', params: { content: result.stdout ?? '' } })
  return { exitCode: result.exitCode }
}

/**
 * For these two methods the engine misses the partial indexes of earlier migrations, and creates them again. Its `diff`
 * sees them, so it decides what the new migration contains.
 */
async function correct(method, result, { draft, migrationsList, schema, filters }) {
  const { stdout, exitCode } = await engine.diff({
    from: { tag: 'migrations', ...migrationsList },
    to: { tag: 'schemaDatamodel', ...schema },
    script: true,
    exitCode: true,
    shadowDatabaseUrl: null,
    filters,
  })
  const isEmpty = exitCode === 0
  if (method === 'createMigration') return { ...result, migrationScript: isEmpty && !draft ? null : stdout }
  if (isEmpty) return { migrationSteps: 0, unexecutableSteps: [], warnings: [] }
  const isTrue = ({ message }) =>
    !message.includes('unique constraint') || stdout.includes('CREATE UNIQUE INDEX')
  return { ...result, warnings: result.warnings.filter(isTrue) }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (!method) continue // a response to one of our `print` calls
  try {
    await send({ id, result: (await call(method, params)) ?? null })
  } catch (error) {
    const message = String(error?.message ?? error)
    const data = {
      is_panic: error instanceof WebAssembly.RuntimeError,
      message,
      meta: null,
      error_code: error?.code ?? null,
    }
    await send({ id, error: { code: 4466, message: 'An error happened. Check the data field.', data } })
  }
}
process.exit(0) // the engine's lock timer would keep Node alive
