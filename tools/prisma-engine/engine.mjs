// Prisma's schema engine as WebAssembly over node-postgres, for developers: the CLI's own engine without a download.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg'
import pg from 'pg'

/** PostgreSQL's one-byte type "char", which catalog columns have and adapter-pg does not support. */
const CHAR_OID = 18
const TEXT_OID = 25

const quote = (identifier) => `"${identifier.replaceAll('"', '""')}"`
const databaseOf = (url) => decodeURIComponent(new URL(url).pathname.slice(1))
const withDatabase = (url, name) => Object.assign(new URL(url), { pathname: `/${name}` }).href

export async function runSql(connectionString, text) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}

export const createEmptyDatabase = (url) =>
  runSql(withDatabase(url, 'postgres'), `CREATE DATABASE ${quote(databaseOf(url))}`)

export const dropDatabase = (url) =>
  runSql(withDatabase(url, 'postgres'), `DROP DATABASE IF EXISTS ${quote(databaseOf(url))} WITH (FORCE)`)

/**
 * adapter-pg 7.10 as a migration adapter needs two repairs. It does not support catalog columns of type "char". And it
 * splits scripts at every ';', which breaks $$ bodies and leaves a failing file half applied. There is one session only,
 * since the engine's advisory lock belongs to the session.
 */
async function connect(connectionString, afterClose = async () => {}) {
  const pool = new pg.Pool({ connectionString, max: 1, idleTimeoutMillis: 0 })
  const charColumns = new WeakMap()
  const query = pool.query.bind(pool)
  pool.query = async (...args) => {
    const result = await query(...args)
    const hits = (result.fields ?? []).flatMap((field, i) => (field.dataTypeID === CHAR_OID ? [i] : []))
    for (const i of hits) result.fields[i].dataTypeID = TEXT_OID
    if (hits.length > 0) charColumns.set(result.rows, hits)
    return result
  }
  const adapter = await new PrismaPg(pool).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)
  adapter.queryRaw = async (statement) => {
    const result = await queryRaw(statement)
    for (const i of charColumns.get(result.rows) ?? []) result.columnTypes[i] = ColumnTypeEnum.Character
    return result
  }
  adapter.executeScript = async (script) => {
    await pool.query(script).catch((error) => adapter.onError(error))
  }
  adapter.dispose = async () => {
    await pool.end()
    await afterClose()
  }
  return adapter
}

/** Creates a separate shadow database: the adapter's own method replays migrations on the main one. */
async function connectToShadowDatabase(url) {
  const name = `prisma_shadow_${randomUUID().replaceAll('-', '')}`
  await runSql(url, `CREATE DATABASE ${name}`)
  return connect(withDatabase(url, name), () => runSql(url, `DROP DATABASE ${name} WITH (FORCE)`))
}

export async function openSchemaEngine(url) {
  const wasmFile = createRequire(import.meta.url)
    .resolve('@prisma/schema-engine-wasm/schema_engine_bg')
    .replace(/\.js$/, '.wasm')
  const { instance } = await WebAssembly.instantiate(await readFile(wasmFile), {
    './schema_engine_bg.js': bindings,
  })
  bindings.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => console.error(message) }
  return bindings.SchemaEngine.new(
    { datamodels: undefined },
    () => {},
    bindMigrationAwareSqlAdapterFactory({
      provider: 'postgres',
      adapterName: '@prisma/adapter-pg',
      connect: () => connect(url),
      connectToShadowDb: () => connectToShadowDatabase(url),
    }),
  )
}
