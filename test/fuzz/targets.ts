/** What is fed with bad input, and with what. Input i of a target is a function of the seed and i alone. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'

import {
  adam,
  column,
  csv,
  dense,
  dropout,
  embedding,
  FittedSchema,
  flatten,
  idx,
  inferSchema,
  input,
  jsonLines,
  l2,
  loadModel,
  type Model,
  NdArray,
  readIdx,
  readSafetensors,
  schema,
  sequential,
  type TrainingData,
  target,
} from '../../src/index.ts'
import type { RandomStream } from '../../src/random.ts'
import { MODEL_ENTRY } from '../../src/train/modelFile.ts'
import { cases } from '../unit/interchange/models.ts'
import { mutateBytes, mutateJson, pick } from './mutate.ts'

/** An input that was made, and what to do with it. */
export interface Trial {
  /** What messages must name: one of these. */
  readonly sources: readonly string[]
  /** Reads it and uses what comes out of it. Throws what a user would see; an error of another kind if something that was accepted is not right. */
  run(): Promise<void>
}

export interface Target {
  readonly name: string
  /** Of 100,000 and more in all, how many. */
  readonly inputs: number
  /** Makes inputs, in a folder of their own. */
  prepare(folder: string): Promise<(random: RandomStream) => Promise<Trial>>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const isWanted = (random: RandomStream, part: number) => random.uniform() < part

async function csvFiles(): Promise<Buffer[]> {
  const spectrum = join(dirname(createRequire(import.meta.url).resolve('csv-spectrum')), 'csvs')
  const real = join(root, 'examples/data')
  const paths = [
    ...(await readdir(spectrum)).map((name) => join(spectrum, name)),
    ...(await readdir(real)).filter((name) => /\.csv(\.gz)?$/.test(name)).map((name) => join(real, name)),
  ]
  const files = await Promise.all(paths.map((path) => readFile(path)))
  // The beginning of a large file is as good as the whole, many times as fast.
  return [
    ...files.map((file) => file.subarray(0, 4000)),
    gzipSync(files[0]),
    Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(String(files[2]), 'utf16le')]),
  ]
}

/** Tables of every kind of value, between all delimiters and ends of lines. */
const tables = fc
  .record({
    delimiter: fc.constantFrom(',', ';', '\t', '|'),
    end: fc.constantFrom('\n', '\r\n', '\r'),
    rows: fc.array(
      fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.double().map(String), fc.constantFrom('', '"', 'a"b', '#', ' x ')), {
        minLength: 1,
        maxLength: 5,
      }),
      { maxLength: 8 },
    ),
    quoting: fc.constantFrom('always', 'never', 'right'),
  })
  .map(({ delimiter, end, rows, quoting }) => {
    const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`
    const write = (value: string) => (quoting === 'always' || (quoting === 'right' && /["\r\n,;|\t]/.test(value)) ? quoted(value) : value)
    return rows.map((row) => row.map(write).join(delimiter)).join(end)
  })

function generated<T>(random: RandomStream, arbitrary: fc.Arbitrary<T>): T {
  return fc.sample(arbitrary, { seed: random.below(2 ** 31 - 1), numRuns: 1 })[0]
}

/** As a file, or as a stream of it in pieces. */
async function given(
  random: RandomStream,
  path: string,
  bytes: Uint8Array,
): Promise<{ source: string | ReadableStream<Uint8Array>; sources: string[] }> {
  if (isWanted(random, 0.3)) {
    await writeFile(path, bytes)
    return { source: path, sources: [path] }
  }
  const size = pick(random, [1, 7, 1000, 1 << 20])
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
  return { source: new Blob(pieces.length > 3000 ? [bytes] : (pieces as Uint8Array<ArrayBuffer>[])).stream(), sources: ['the stream'] }
}

const csvTarget: Target = {
  name: 'csv',
  inputs: 42_000,
  async prepare(folder) {
    const files = await csvFiles()
    return async (random) => {
      const bytes = isWanted(random, 0.4) ? Buffer.from(generated(random, tables)) : mutateBytes(random, pick(random, files), files)
      const { source, sources } = await given(random, join(folder, 'table.csv'), bytes)
      const options = pick(random, [
        {},
        {},
        {},
        { header: false },
        { quote: false as const },
        { comment: '#' },
        { encoding: 'latin1' as const },
        { delimiter: ',', maxRecordBytes: 500 },
      ])
      const early = isWanted(random, 0.05)
      return {
        sources,
        async run() {
          let keys: string | null = null
          for await (const row of csv(source as string, options)) {
            const names = JSON.stringify(Object.keys(row))
            keys ??= names
            if (names !== keys || Object.values(row).some((value) => typeof value !== 'string'))
              throw new Error(`a row of other keys or values: ${JSON.stringify(row)}`)
            if (early) break
          }
        },
      }
    }
  },
}

const jsonTarget: Target = {
  name: 'json',
  inputs: 20_000,
  async prepare(folder) {
    const rows = fc.array(fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }), { maxLength: 5 })
    return async (random) => {
      const text = generated(random, rows)
        .map((row) => JSON.stringify(row))
        .join(pick(random, ['\n', '\r\n']))
      const bytes = isWanted(random, 0.2) ? Buffer.from(text) : mutateBytes(random, Buffer.from(text))
      const { source, sources } = await given(random, join(folder, 'rows.jsonl'), bytes)
      return {
        sources,
        async run() {
          for await (const row of jsonLines(source as string)) {
            if (Object.getPrototypeOf(row) !== Object.prototype || Object.hasOwn(row, '__proto__'))
              throw new Error('a row with a prototype of its own')
          }
        },
      }
    }
  },
}

function idxFile(random: RandomStream): Buffer {
  const code = pick(random, [0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e])
  const width = { 8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8 }[code] as number
  const shape = Array.from({ length: 1 + random.below(3) }, () => 1 + random.below(6))
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.set([0, 0, code, shape.length])
  shape.forEach((extent, i) => {
    header.writeUInt32BE(extent, 4 + 4 * i)
  })
  const data = Buffer.from(Array.from({ length: shape.reduce((a, b) => a * b, width) }, () => random.below(256)))
  return Buffer.concat([header, data])
}

const idxTarget: Target = {
  name: 'idx',
  inputs: 15_000,
  async prepare(folder) {
    return async (random) => {
      const original = idxFile(random)
      const changed = isWanted(random, 0.1) ? original : mutateBytes(random, original, [idxFile(random)])
      const bytes = isWanted(random, 0.2) ? mutateBytes(random, gzipSync(changed)) : changed
      const [images, labels] = [join(folder, 'images'), join(folder, 'labels')]
      await writeFile(images, bytes)
      const withLabels = isWanted(random, 0.3)
      if (withLabels) await writeFile(labels, idxFile(random))
      return {
        sources: withLabels ? [images, labels] : [images],
        async run() {
          if (withLabels) await idx(images, labels).toArray()
          else if (bytes.length % 2 === 0) await idx(images).toArray()
          else await readIdx(images)
        },
      }
    }
  },
}

/** A file of tensors: the header as it is given. */
function tensorFile(header: unknown, data: Uint8Array): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, data])
}

function headerOf(file: Uint8Array): { header: Record<string, unknown>; data: Uint8Array } {
  const length = Number(Buffer.from(file).readBigUInt64LE())
  return { header: JSON.parse(Buffer.from(file.subarray(8, 8 + length)).toString()), data: file.subarray(8 + length) }
}

const safetensorsTarget: Target = {
  name: 'safetensors',
  inputs: 15_000,
  async prepare(folder) {
    const dtypes = ['F64', 'F32', 'F16', 'BF16', 'I64', 'U64', 'I32', 'U32', 'I16', 'U16', 'I8', 'U8', 'BOOL']
    const widths = [8, 4, 2, 2, 8, 8, 4, 4, 2, 2, 1, 1, 1]
    const path = join(folder, 'weights.safetensors')
    return async (random) => {
      const header: Record<string, unknown> = isWanted(random, 0.5) ? { __metadata__: { note: 'x' } } : {}
      let end = 0
      for (let i = random.below(4); i >= 0; i--) {
        const type = random.below(dtypes.length)
        const shape = Array.from({ length: random.below(3) }, () => random.below(5))
        const begin = end
        end += shape.reduce((a, b) => a * b, widths[type])
        header[pick(random, ['a', 'b', 'kernel', 'ü'])] ??= { dtype: dtypes[type], shape, data_offsets: [begin, end] }
      }
      const data = Buffer.from(Array.from({ length: end }, () => random.below(256)))
      const file = isWanted(random, 0.5) ? mutateBytes(random, tensorFile(header, data)) : tensorFile(mutateJson(random, header), data)
      const asFile = isWanted(random, 0.3)
      if (asFile) await writeFile(path, file)
      return {
        sources: asFile ? [path] : ['the bytes given'],
        async run() {
          const { tensors } = await readSafetensors(asFile ? path : (file as never))
          for (const { data, shape } of Object.values(tensors))
            if (data.length !== shape.reduce((a, b) => a * b, 1)) throw new Error('a tensor of another size than its shape')
        },
      }
    }
  },
}

const firstRows = (data: NonNullable<TrainingData['x']>): never =>
  (Array.isArray(data)
    ? data.slice(0, 1)
    : Object.fromEntries(Object.entries(data as object).map(([name, rows]) => [name, rows.slice(0, 1)]))) as never

const modelTarget: Target = {
  name: 'model',
  inputs: 12_000,
  async prepare(folder) {
    const path = join(folder, 'model.safetensors')
    const words = () =>
      sequential([input(3, { dtype: 'int32' }), embedding(9, 4, { embeddingsRegularizer: l2() }), flatten(), dropout(0.2), dense(2)])
    const embedded: [() => Model, TrainingData['x']] = [words, [[1, 2, 3]]]
    const all: [() => Model, TrainingData['x']][] = [
      ...Object.values(cases).map(({ make, data }): [() => Model, TrainingData['x']] => [make, data.x]),
      embedded,
    ]
    const files = await Promise.all(
      all.map(async ([make, x], i) => {
        const file = `${path}.${i}`
        await make().save(file)
        const { header, data } = headerOf(await readFile(file))
        return { header, data, description: JSON.parse((header.__metadata__ as Record<string, string>)[MODEL_ENTRY]), x: firstRows(x) }
      }),
    )
    return async (random) => {
      const { header, data, description, x } = pick(random, files)
      const changed = JSON.stringify(mutateJson(random, description))
      const text = isWanted(random, 0.1) ? String(mutateBytes(random, Buffer.from(changed))) : changed
      const file = tensorFile({ ...header, __metadata__: { [MODEL_ENTRY]: text } }, data)
      return {
        // What it predicts with is no fault of the file.
        sources: ['the bytes given', 'predict'],
        async run() {
          const net = await loadModel(file)
          await net.predictAll(x)
        },
      }
    }
  },
}

const schemaTarget: Target = {
  name: 'schema',
  inputs: 12_000,
  async prepare() {
    const houses = csv(join(root, 'examples/data/ames.csv')).take(200)
    const guessed = await inferSchema(houses, { target: 'Sale_Price' })
    const rows = Array.from({ length: 60 }, (_, i) => ({
      n: i % 9 === 0 ? '' : String(i * 1.5),
      k: String(i % 7),
      c: ['red', 'green', 'blue'][i % 3],
      e: `place ${i % 11}`,
      b: i % 2 === 0 ? 'yes' : 'no',
      t: ['the quick brown fox', 'a lazy dog', 'foxes and dogs'][i % 3],
      d: `2024-0${1 + (i % 9)}-1${i % 10}`,
      v: [i, 1, 2],
      y: ['spam', 'ham'][i % 2],
    }))
    const own = schema({
      n: column.number({ scale: 'quantile', missing: 'median', indicator: true }),
      k: column.integer(),
      c: column.category(),
      e: column.category({ encode: 'embedding' }),
      b: column.boolean(),
      t: column.text({ minimumCount: 1 }),
      d: column.date(),
      v: column.vector({ length: 3 }),
      y: target.category(),
    })
    const made = [
      { json: JSON.parse(JSON.stringify(await guessed.fit(houses))), row: (await houses.take(1).toArray())[0] },
      { json: JSON.parse(JSON.stringify(await own.fit(rows as never))), row: rows[0] },
    ]
    return async (random) => {
      const { json, row } = pick(random, made)
      const changed = mutateJson(random, json)
      return {
        sources: ['schema', 'row 0', 'decode', 'encode'],
        async run() {
          const fitted = FittedSchema.fromJSON(changed)
          fitted.encode([row] as never)
          const units = fitted.outputs.reduce((sum, output) => sum + output.units, 0)
          if (fitted.outputs.length === 1) fitted.decode(new NdArray(new Float32Array(units).fill(0.5), [1, units]))
          JSON.stringify(fitted)
        },
      }
    }
  },
}

const checkpointTarget: Target = {
  name: 'checkpoint',
  inputs: 1500,
  async prepare(folder) {
    const data = { x: Array.from({ length: 32 }, (_, i) => [Math.sin(i), i % 3]), y: Array.from({ length: 32 }, (_, i) => i % 2) }
    const directory = join(folder, 'run')
    const fit = async (epochs: number) => {
      const net = sequential([input(2), dense(4, { activation: 'tanh' }), dropout(0.3), dense(1)], { seed: 4 })
      // Never due but at the end of a run.
      const checkpoint = { directory, everyMinutes: 60, keepLast: 1, signals: false }
      const history = await net.fit(data, {
        loss: 'meanSquaredError',
        epochs,
        batchSize: 8,
        optimizer: adam(),
        earlyStopping: { patience: 9 },
        checkpoint,
      })
      return JSON.stringify([history, Object.values(net.weights()).map(({ data }) => [...new Uint32Array(data.buffer as ArrayBuffer)])])
    }
    const expected = await fit(3)
    const [name] = await readdir(directory)
    const file = await readFile(join(directory, name))
    return async (random) => {
      await rm(directory, { recursive: true })
      await mkdir(directory)
      const { header, data: numbers } = headerOf(file)
      const changed = isWanted(random, 0.6) ? mutateBytes(random, file) : tensorFile(mutateJson(random, header), numbers)
      await writeFile(join(directory, name), changed)
      return {
        sources: [directory],
        async run() {
          if ((await fit(3)) !== expected) throw new Error('goes on from a damaged checkpoint to other bits')
        },
      }
    }
  },
}

export const targets: readonly Target[] = [csvTarget, jsonTarget, idxTarget, safetensorsTarget, modelTarget, schemaTarget, checkpointTarget]
