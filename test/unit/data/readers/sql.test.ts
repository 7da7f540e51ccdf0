import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sql } from '../../../../src/data/readers/sql.ts'
import { DataError, FileError, OptionError } from '../../../../src/errors.ts'
import { isOpen } from './openFiles.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-sql-'))
const database = join(folder, 'houses.duckdb')
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(async () => {
  const instance = await DuckDBInstance.create(database)
  const connection = await instance.connect()
  await connection.run(`CREATE TABLE houses AS SELECT range::INTEGER AS id, range * 1.25 AS area FROM range(5000) ORDER BY id`)
  connection.closeSync()
  instance.closeSync()
})

describe('sql', () => {
  it('gives plain values', async () => {
    const query = `SELECT 3::BIGINT AS long, 12.30::DECIMAL(10, 2) AS decimal, 0.5::FLOAT AS float, DATE '2024-02-29' AS date,
      TIMESTAMP '2024-02-29 12:34:56.789' AS time, [1, NULL, 3]::BIGINT[] AS list, [1.5, 2.5]::DOUBLE[2] AS vector, {'a': 1::HUGEINT, 'b': 'x'} AS struct,
      'abc'::BLOB AS blob, true AS yes, NULL AS missing, 'ü' AS text`
    expect(await sql(query).toArray()).toEqual([
      {
        long: 3,
        decimal: 12.3,
        float: 0.5,
        date: new Date('2024-02-29'),
        time: new Date('2024-02-29T12:34:56.789Z'),
        list: [1, null, 3],
        vector: [1.5, 2.5],
        struct: { a: 1, b: 'x' },
        blob: Buffer.from('abc'),
        yes: true,
        missing: null,
        text: 'ü',
      },
    ])
  })

  it('reads a database without changing it, in each pass anew', async () => {
    const houses = sql('SELECT * FROM houses WHERE id >= $first ORDER BY id', { database, parameters: { first: 4000 } })
    const rows = await houses.toArray()
    expect(rows).toHaveLength(1000)
    expect(rows[999]).toEqual({ id: 4999, area: 4999 * 1.25 })
    expect(await houses.toArray()).toEqual(rows)
    const skipped: unknown[] = []
    for await (const { items } of houses.pass({ skip: 998 })) skipped.push(...items)
    expect(skipped).toEqual(rows.slice(998))
  })

  it('binds parameters by position, and dates', async () => {
    const time = new Date('2024-05-06T07:08:09.010Z')
    expect(
      await sql('SELECT $1 + 1 AS a, $2 AS b, $3::TIMESTAMP AS c, ? IS NULL AS d'.replace('?', '$4'), {
        parameters: [1.5, 'x', time, null],
      }).toArray(),
    ).toEqual([{ a: 2.5, b: 'x', c: time, d: true }])
  })

  it('closes the database when the consumer leaves, fails or aborts', async () => {
    const houses = sql('SELECT * FROM houses', { database })
    for await (const _ of houses) {
      expect(isOpen(database)).not.toBe(false)
      break
    }
    expect(isOpen(database)).not.toBe(true)
    await expect(
      houses
        .map(() => {
          throw new Error('no')
        })
        .toArray(),
    ).rejects.toThrow('no')
    expect(isOpen(database)).not.toBe(true)
    const abort = new AbortController()
    const run = (async () => {
      for await (const _ of sql('SELECT count(*) AS n FROM range(1000000) a, range(1000000) b', { database }).pass({
        signal: abort.signal,
      }))
        break
    })()
    setTimeout(() => abort.abort(), 50)
    await expect(run).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect(isOpen(database)).not.toBe(true)
    await expect(sql("SELECT CASE WHEN id < 4000 THEN 1 ELSE error('boom') END AS a FROM houses", { database }).toArray()).rejects.toThrow(
      /^sql: .*boom/,
    )
    expect(isOpen(database)).not.toBe(true)
  })

  it('says what is wrong', async () => {
    const failure = (query: string, options = {}) =>
      sql(query, options)
        .toArray()
        .catch((error: Error) => error)
    expect(() => sql('')).toThrow(OptionError)
    expect(() => sql('SELECT 1', { databse: 'x' } as object)).toThrow('did you mean "database"')
    expect(() => sql('SELECT 1', { parameters: 3 as never })).toThrow(OptionError)
    const missing = join(folder, 'none.duckdb')
    expect(await failure('SELECT 1', { database: missing })).toBeInstanceOf(FileError)
    expect(existsSync(missing)).toBe(false)
    const text = join(folder, 'text.duckdb')
    writeFileSync(text, 'not a database, just text that is long enough to have been one')
    expect(await failure('SELECT 1', { database: text })).toBeInstanceOf(DataError)
    expect(await failure('SELECT * FROM nothing')).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/^sql: Catalog Error: Table with name nothing does not exist!/),
    })
    for (const query of ['INSTALL httpfs', 'CREATE TABLE t AS SELECT 1', `COPY (SELECT 1) TO '${join(folder, 'out.csv')}'`])
      expect(await failure(query)).toMatchObject({ code: 'ERR_OPTION', message: expect.stringContaining('gives rows') })
    expect(existsSync(join(folder, 'out.csv'))).toBe(false)
    expect(await failure('SELECT 1; SELECT 2')).toBeInstanceOf(DataError)
    expect(await failure("FROM read_csv('https://localhost:1/x.csv')")).toMatchObject({
      message: expect.stringContaining('none is downloaded'),
    })
    expect(await failure('SELECT $1 AS a, $2 AS b', { parameters: [1] })).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining('$2'),
    })
    expect(await failure('SELECT $a AS a', { parameters: { a: 1, b: 2 } })).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining('$b'),
    })
    expect(await failure('SELECT $1 AS a', { parameters: [{}] })).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining('$1'),
    })
    expect(await failure('SELECT 1 AS a, 2 AS a')).toMatchObject({ code: 'ERR_DATA', message: expect.stringContaining('"a"') })
    expect(await failure("SELECT 'infinity'::DATE AS a")).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/^sql: DATE value/),
    })
    expect(await failure('SELECT 9007199254740993 AS a')).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringMatching(/row 0, column "a": 9007199254740993/),
    })
  })
})
