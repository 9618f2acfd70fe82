// Which scripts control transactions or cannot run within one.
import { expect, test } from 'vitest'
import { outsideTransaction } from './migration-script.ts'

test.each([
  ['BEGIN', 'BEGIN; CREATE TABLE a ()'],
  ['COMMIT', 'CREATE TABLE a ();\ncommit;\nCREATE TABLE b ()'],
  ['COMMIT', "INSERT INTO a VALUES (E'it\\'s; '); COMMIT"],
  ['COMMIT', 'DO $$ BEGIN END $$; /* why */ COMMIT AND CHAIN'],
  ['END', 'CREATE TABLE a (); -- over\nEND'],
  ['ROLLBACK', 'ROLLBACK TO SAVEPOINT a'],
  ['START TRANSACTION', 'START TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
  ['CONCURRENTLY', 'CREATE UNIQUE INDEX CONCURRENTLY a_b ON a (b)'],
  ['CONCURRENTLY', 'DROP INDEX\n  concurrently a_b'],
])('finds %s in: %s', (words, sql) => {
  expect(outsideTransaction(sql)).toBe(words)
})

test.each([
  'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN; COMMIT; END $$; SELECT 1',
  'DO $body$ BEGIN EXECUTE $$ ; COMMIT; $$; END $body$',
  "INSERT INTO a VALUES ('it''s; COMMIT; '), (E'\\'; COMMIT; ')",
  '-- BEGIN; CONCURRENTLY\n/* ; COMMIT; */ SELECT 1',
  'ALTER TABLE "a; COMMIT; " RENAME TO b',
  'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END',
  'ALTER TABLE commit ADD COLUMN begin int, ADD COLUMN "end" int',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY a',
])('finds none in: %s', (sql) => {
  expect(outsideTransaction(sql)).toBeUndefined()
})
