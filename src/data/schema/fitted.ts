import { checkOptions } from '../../checks.ts'
import { counted, DataError, describe, OptionError } from '../../errors.ts'
import { sizeOf } from '../../graph/shape.ts'
import type { Dtype } from '../../graph/tensor.ts'
import { allocateShared, formatBytes } from '../../memory.ts'
import type { LossName } from '../../nn/losses/index.ts'
import type { MetricName } from '../../nn/metrics/index.ts'
import { NdArray } from '../ndarray.ts'
import { absentColumns, checkColumns, missingTargetError } from './columnErrors.ts'
import { columnFrom } from './columns.ts'
import { Fields, readingFile } from './fields.ts'
import type { Answer, Encoder, Numbers, TargetColumn, TargetEncoder } from './kind.ts'
import { inputsOf, type Part, partsOf, type SchemaInput, write } from './layout.ts'
import { checkRow, valueIn } from './rows.ts'
import { Schema } from './schema.ts'
import type { Row } from './types.ts'

/** An output that a network for a schema needs. */
export interface SchemaOutput {
  /** Of the target. */
  readonly name: string
  /** How many numbers it has a row. */
  readonly units: number
  /** What is trained on: of logits for classes. */
  readonly loss: LossName
  /** What says most about it. */
  readonly metrics: readonly MetricName[]
  /** The labels by class number, or null for numbers. */
  readonly classes: readonly string[] | null
}

/** Memory for encoded rows, in the order of `inputs` and `outputs`. */
export interface EncodedMemory {
  readonly rows: number
  readonly inputs: readonly Numbers[]
  readonly targets: readonly Numbers[]
}

/** Options of `FittedSchema.encode`. */
export interface EncodeOptions {
  /** What to call row i in messages; default `row i`. */
  readonly place?: (i: number) => string
  /** Rows without a target: "error", or "skip" to leave them out. Default "error". */
  readonly missingTarget?: 'error' | 'skip'
}

/** Numbers for the only input or output, or by name for several: what `fit` and `predict` of a model take. */
export type EncodedNumbers = NdArray<Numbers> | Readonly<Record<string, NdArray<Numbers>>>

const rowNumber = (i: number) => `row ${i}`

const VERSION = 1

/**
 * A schema with the statistics of rows: turns rows into numbers and the numbers of a network into answers. Made by `Schema.fit`; it does not change.
 *
 * @example const fitted: FittedSchema = await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])
 */
export class FittedSchema<Input extends Row = Row, Training extends Row = Row, Prediction = Readonly<Record<string, unknown>>> {
  /** What it was made of. */
  readonly schema: Schema
  /** How many rows it was fitted to. */
  readonly rows: number
  /** What the network must take. */
  readonly inputs: readonly SchemaInput[]
  /** What the network must give: one for each target. */
  readonly outputs: readonly SchemaOutput[]
  private readonly encoders: ReadonlyMap<string, Encoder>
  private readonly targets: ReadonlyMap<string, TargetEncoder>
  private readonly mayBeAbsent: ReadonlySet<string>
  private readonly parts: readonly Part[]
  private readonly targetParts: readonly (Part & Pick<TargetColumn, 'isMissing'>)[]

  /** @internal */
  constructor(
    schema: Schema,
    encoders: ReadonlyMap<string, Encoder>,
    targets: ReadonlyMap<string, TargetEncoder>,
    { rows, mayBeAbsent }: { rows: number; mayBeAbsent: ReadonlySet<string> },
  ) {
    this.schema = schema
    this.rows = rows
    this.encoders = encoders
    this.targets = targets
    this.mayBeAbsent = mayBeAbsent
    this.inputs = inputsOf(encoders)
    if (this.inputs.length === 0) throw new DataError('schema: no column has anything for the network to see; all are ignored or constant.')
    this.outputs = [...targets].map(([name, { units, loss, metrics, classes }]) => ({ name, units, loss, metrics, classes }))
    this.parts = partsOf(this.inputs, encoders, mayBeAbsent)
    this.targetParts = [...targets].map(([name, encoder], memory) => {
      const { isMissing } = schema.columns.get(name) as TargetColumn
      return { name, encoder, memory, offset: 0, stride: sizeOf(encoder.shape), mayBeAbsent: false, isMissing }
    })
  }

  /** What each number of the input "features" is: `sqft`, `city = Ames`. */
  get featureNames(): readonly string[] {
    return this.featureColumns.flatMap((name) => this.encoders.get(name)?.names ?? [])
  }

  /** The columns in the input "features", in order. */
  private get featureColumns(): readonly string[] {
    return this.inputs.find(({ name }) => name === 'features')?.columns ?? []
  }

  /**
   * The column that a number of the input "features" is of.
   *
   * @throws OptionError if there is no such number.
   * @example (await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])).columnOf(0)
   */
  columnOf(feature: number): string {
    const all = this.featureColumns.flatMap((name) => (this.encoders.get(name)?.names ?? []).map(() => name))
    if (all[feature] === undefined)
      throw new OptionError(`columnOf: feature must be an integer of 0 … ${all.length - 1}, got ${describe(feature)}.`)
    return all[feature]
  }

  /** Refuses a table without a column that every row needs. @internal */
  checkHeader(place: string, names: readonly string[]): void {
    const absent = this.parts.filter(({ name, mayBeAbsent }) => !mayBeAbsent && !names.includes(name)).map(({ name }) => name)
    if (absent.length > 0) throw absentColumns(place, absent, names)
  }

  /** Shared memory for so many rows, zeroed. @internal */
  allocate(rows: number): EncodedMemory {
    const make = ({ dtype, shape }: { dtype: Dtype; shape: readonly number[] }): Numbers => {
      const size = rows * sizeOf(shape)
      const what = `encode: ${counted(rows, 'row')} of ${counted(sizeOf(shape), 'number')} need ${formatBytes(size * 4)}`
      const buffer = allocateShared(size * 4, what, 'Encode fewer rows at a time.')
      return dtype === 'float32' ? new Float32Array(buffer) : new Int32Array(buffer)
    }
    return { rows, inputs: this.inputs.map(make), targets: [...this.targets.values()].map(make) }
  }

  /**
   * Writes rows one after the other, from row `at` of the memory on. @returns How many were written: fewer than given if some were skipped.
   *
   * @param options As of `encode`; `targets` false for rows without.
   * @internal
   */
  encodeInto(
    rows: readonly unknown[],
    memory: EncodedMemory,
    at = 0,
    options: EncodeOptions & { readonly targets?: boolean } = {},
  ): number {
    const { place = rowNumber, missingTarget = 'error', targets = true } = options
    const { parts, targetParts } = this
    let next = at
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]
      if (typeof row !== 'object' || row === null || Array.isArray(row)) checkRow(place(i), row)
      if (targets && !this.hasTargets(row as Row, place, i, missingTarget)) continue
      for (let p = 0; p < parts.length; p++) write(parts[p], row as Row, memory.inputs, next, place, i)
      if (targets) for (const part of targetParts) write(part, row as Row, memory.targets, next, place, i)
      next++
    }
    return next - at
  }

  private hasTargets(row: Row, place: (i: number) => string, i: number, missingTarget: 'error' | 'skip'): boolean {
    for (const { name, isMissing } of this.targetParts) {
      if (!isMissing(valueIn(row, name))) continue
      if (missingTarget === 'skip') return false
      throw missingTargetError(place(i), name, row)
    }
    return true
  }

  /**
   * Rows with their targets as numbers, in shared memory: what `fit` and `evaluate` of a model take. Columns that are not in the schema are ignored.
   *
   * @param options `missingTarget` "error".
   * @throws DataError for a value that is none of its column's, with its place.
   * @example (await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])).encode([{ x: 1, y: 2 }])
   */
  encode(rows: readonly Training[], options: EncodeOptions = {}): { readonly x: EncodedNumbers; readonly y: EncodedNumbers } {
    checkOptions('encode', options, ['place', 'missingTarget'])
    const memory = this.allocate(rowsIn('encode', rows))
    const count = this.encodeInto(rows, memory, 0, options)
    if (count === 0) throw new DataError(`encode: expected rows with a target, got ${counted(rows.length, 'row')} without.`)
    return { x: this.inputNumbers(memory, count), y: this.targetNumbers(memory, count) }
  }

  /**
   * Rows without targets as numbers, in shared memory: what `predict` of a model takes.
   *
   * @throws DataError for a value that is none of its column's, with its place.
   * @example (await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])).encodeInputs([{ x: 5 }])
   */
  encodeInputs(rows: readonly Input[], options: Pick<EncodeOptions, 'place'> = {}): EncodedNumbers {
    checkOptions('encodeInputs', options, ['place'])
    const memory = this.allocate(rowsIn('encodeInputs', rows))
    this.encodeInto(rows, memory, 0, { ...options, targets: false })
    return this.inputNumbers(memory, rows.length)
  }

  /** The first rows of the memory, for `x`. @internal */
  inputNumbers(memory: EncodedMemory, rows = memory.rows): EncodedNumbers {
    return named(this.inputs, memory.inputs, rows)
  }

  /** The first rows of the memory, for `y`. @internal */
  targetNumbers(memory: EncodedMemory, rows = memory.rows): EncodedNumbers {
    return named(
      [...this.targets].map(([name, { shape }]) => ({ name, shape })),
      memory.targets,
      rows,
    )
  }

  /**
   * What the outputs of the network mean, row by row, in the units and words of the data.
   *
   * @param outputs Numbers of the only output, or by target for several: what `predict` of a model gives.
   * @throws DataError if they do not fit the targets.
   * @example (await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])).decode(new NdArray(Float32Array.of(0.5), [1, 1]))
   */
  decode(outputs: NdArray<Numbers> | Readonly<Record<string, NdArray<Numbers>>>): Prediction[] {
    const given = [...this.targets].map(([name, encoder]) => {
      const array = outputs instanceof NdArray ? (this.targets.size === 1 ? outputs : undefined) : outputs[name]
      if (!(array instanceof NdArray))
        throw new DataError(
          `decode: expected the network's numbers for ${this.outputs.map((output) => `"${output.name}"`).join(', ')}, got ${describe(array)} for "${name}".`,
        )
      const rows = array.data.length / encoder.units
      if (!Number.isInteger(rows) || (array.shape[0] ?? 1) !== rows)
        throw new DataError(
          `decode: "${name}" needs ${counted(encoder.units, 'number')} a row, got numbers of shape [${array.shape.join(', ')}].`,
        )
      return { name, encoder, data: array.data, rows }
    })
    const [{ rows }] = given
    const uneven = given.find((other) => other.rows !== rows)
    if (uneven !== undefined)
      throw new DataError(
        `decode: "${given[0].name}" has ${counted(rows, 'row')} and "${uneven.name}" has ${uneven.rows}; they must be equal.`,
      )
    return Array.from({ length: rows }, (_, row) => {
      const answers = given.map(({ name, encoder, data }): [string, Answer] => [name, encoder.decode(data, row * encoder.units)])
      return (
        answers.length === 1 ? oneAnswer(...answers[0]) : Object.fromEntries(answers.map(([name, answer]) => [name, amongAnswers(answer)]))
      ) as Prediction
    })
  }

  /**
   * Numbers of an output that is no class, or targets as they were encoded, in the unit of the data.
   *
   * @internal
   */
  unscale(name: string, values: Numbers): Float64Array {
    const { units, decode } = this.targets.get(name) as TargetEncoder
    const scaled = new Float64Array(values.length)
    for (let at = 0; at < values.length; at += units) {
      const { value } = decode(values, at)
      if (typeof value === 'number') scaled[at] = value
      else scaled.set(value as readonly number[], at)
    }
    return scaled
  }

  /**
   * All of it, for a file.
   *
   * @example (await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }])).toJSON()
   */
  toJSON(): object {
    const columns = [...this.schema.columns].map(([name, { role, kind, options }]) => ({
      name,
      role,
      kind,
      options,
      mayBeAbsent: this.mayBeAbsent.has(name),
      fitted: (this.encoders.get(name) ?? this.targets.get(name))?.toJSON(),
    }))
    return { version: VERSION, rows: this.rows, columns }
  }

  /**
   * What `toJSON` made. Nothing is believed: every member is checked.
   *
   * @param json The object, as JSON.parse gives it.
   * @throws DataError if it is no schema, or one of a later version.
   * @example const made = await schema({ x: column.number(), y: target.number() }).fit([{ x: 1, y: 2 }, { x: 2, y: 3 }]); FittedSchema.fromJSON(JSON.parse(JSON.stringify(made)))
   */
  static fromJSON(json: unknown): FittedSchema {
    const fields = new Fields('schema', json)
    const version = fields.any('version')
    if (version !== VERSION)
      throw new DataError(
        `schema: expected version ${VERSION}, got ${describe(version)}; ${typeof version === 'number' && version > VERSION ? 'it needs a newer thalweg' : 'it is no schema of thalweg'}.`,
      )
    return readingFile('schema', () => {
      const all = fields.objects('columns').map((one) => {
        const name = one.string('name')
        const made = columnFrom(one)
        const fitted = new Fields(`schema: column ${describe(name)}`, one.any('fitted'))
        const restored = made.role === 'feature' ? { encoder: made.restore(name, fitted) } : { target: made.restore(name, fitted) }
        return { name, column: made, mayBeAbsent: one.boolean('mayBeAbsent'), ...restored }
      })
      const columns = new Map(all.map(({ name, column: made }) => [name, made]))
      if (columns.size !== all.length) throw new DataError('schema: expected columns of different names, got one twice.')
      checkColumns(columns)
      const encoders = all.flatMap(({ name, encoder }): [string, Encoder][] => (encoder === undefined ? [] : [[name, encoder]]))
      const targets = all.flatMap((one): [string, TargetEncoder][] => (one.target === undefined ? [] : [[one.name, one.target]]))
      const mayBeAbsent = new Set(all.filter((one) => one.mayBeAbsent).map(({ name }) => name))
      return new FittedSchema(new Schema(columns), new Map(encoders), new Map(targets), { rows: fields.count('rows'), mayBeAbsent })
    })
  }
}

function rowsIn(where: string, rows: unknown): number {
  if (!Array.isArray(rows)) throw new DataError(`${where}: expected an array of rows, got ${describe(rows)}.`)
  if (rows.length === 0) throw new DataError(`${where}: expected rows, got none.`)
  return rows.length
}

function named(specs: readonly { name: string; shape: readonly number[] }[], memories: readonly Numbers[], rows: number): EncodedNumbers {
  const arrays = specs.map(({ name, shape }, i): [string, NdArray<Numbers>] => [
    name,
    new NdArray(memories[i].subarray(0, rows * sizeOf(shape)), [rows, ...shape]),
  ])
  return arrays.length === 1 ? arrays[0][1] : Object.fromEntries(arrays)
}

/** Of the only target, the value has its name and the rest lies beside it. */
function oneAnswer(name: string, { value, ...rest }: Answer): object {
  return { [name]: value, ...rest }
}

function amongAnswers({ value, ...rest }: Answer): unknown {
  return rest.probabilities === undefined ? value : { label: value, ...rest }
}
