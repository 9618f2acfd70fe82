// Prisma's schema engine as WebAssembly: what `prisma migrate dev` writes for a changed schema.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { createDatabase } from '@sluice/testing'
import { expect, inject, onTestFinished, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
const read = (...names: string[]) => readFileSync(path.join(root, 'prisma', ...names), 'utf8')

/** The committed migrations, as Prisma's CLI hands them to the engine. */
const migrationsList = {
  baseDir: path.join(root, 'prisma/migrations'),
  lockfile: { path: 'migration_lock.toml', content: read('migrations/migration_lock.toml') },
  shadowDbInitScript: '',
  migrationDirectories: readdirSync(path.join(root, 'prisma/migrations'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: { tag: 'ok', value: read('migrations', name, 'migration.sql') },
      },
    })),
}

type Call = (method: string, params: object) => Promise<unknown>

async function startEngine(): Promise<Call> {
  const database = await createDatabase(inject('postgresUrl'))
  const engine = spawn(process.execPath, [
    path.join(root, 'tools/prisma-engine/cli.mjs'),
    '--datasource',
    JSON.stringify({ url: database.url }),
  ])
  onTestFinished(async () => {
    engine.stdin.end()
    await new Promise((resolve) => engine.once('exit', resolve))
    await database.drop()
  })
  const lines = createInterface({ input: engine.stdout })[Symbol.asyncIterator]()
  return async (method, params) => {
    engine.stdin.write(`${JSON.stringify({ id: 1, method, params })}\n`)
    const { result, error } = JSON.parse((await lines.next()).value)
    if (error) throw new Error(error.data.message)
    return result
  }
}

const paramsFor = (schema: string) => ({
  migrationsList,
  schema: { files: [{ path: path.join(root, 'prisma/schema.prisma'), content: schema }] },
  filters: { externalTables: [], externalEnums: [] },
})

test('a new migration contains the schema’s change, and no partial index a second time', async () => {
  const call = await startEngine()
  const params = paramsFor(`${read('schema.prisma')}\nmodel Added {\n  id Int @id\n}\n`)
  expect(await call('evaluateDataLoss', params)).toMatchObject({ unexecutableSteps: [], warnings: [] })
  const created = (await call('createMigration', { ...params, migrationName: 'added', draft: false })) as {
    generatedMigrationName: string
    migrationScript: string
  }
  expect(created.generatedMigrationName).toMatch(/^\d{14}_added$/)
  expect(created.migrationScript.match(/^(CREATE|ALTER|DROP) .*/gm)).toEqual(['CREATE TABLE "Added" ('])
})

test('without a change of the schema there is no new migration', async () => {
  const call = await startEngine()
  const params = paramsFor(read('schema.prisma'))
  expect(await call('evaluateDataLoss', params)).toEqual({
    migrationSteps: 0,
    unexecutableSteps: [],
    warnings: [],
  })
  expect(await call('createMigration', { ...params, migrationName: 'added', draft: false })).toMatchObject({
    migrationScript: null,
  })
})
