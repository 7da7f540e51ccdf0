/**
 * What a column of a table is to a network. Each kind is a file beside this one: how its values are counted in the one pass that fits a schema, and
 * how they become numbers after it. What reads these interfaces never asks which kind it has.
 */
import type { Dtype } from '../../graph/tensor.ts'
import type { LossName } from '../../nn/losses/index.ts'
import type { MetricName } from '../../nn/metrics/index.ts'
import type { Fields } from './fields.ts'
import type { Profile } from './profile.ts'
import type { Refusal } from './values.ts'

/** Memory of a network's input or target. */
export type Numbers = Float32Array | Int32Array

/** Takes the values of a column in, one after the other. */
export interface Collector<Made> {
  /** `undefined` for a value that its row has not. */
  add(value: unknown): Refusal | null
  /** @param place The beginning of the message if these values are no use. */
  finish(place: string): Made
}

/** A fitted column: writes the numbers of its values. */
export interface Encoder {
  /** The input it shares with others of the kind, side by side; left out by a column that has one of its own, by its name. */
  readonly input?: 'features' | 'categories'
  readonly dtype: Dtype
  /** Of the numbers of one value; those who share an input have one dimension. */
  readonly shape: readonly number[]
  /** What each number in a shared input is. */
  readonly names: readonly string[]
  /** Of indices: how many there are. */
  readonly sizes?: readonly number[]
  /** Writes all its numbers to `memory` from `at` on, or says why it cannot. */
  encode(value: unknown, memory: Numbers, at: number): Refusal | null
  /** What it has to remember, for `restore`. */
  toJSON(): object
}

/** The answer to one row: a value, and for classes how sure the network is. */
export interface Answer {
  readonly value: unknown
  readonly probability?: number
  readonly probabilities?: Readonly<Record<string, number>>
}

/** A fitted target. */
export interface TargetEncoder extends Omit<Encoder, 'input' | 'names' | 'sizes'> {
  /** Numbers that the network's output has for a row. */
  readonly units: number
  readonly loss: LossName
  readonly metrics: readonly MetricName[]
  /** The labels, in the order of class numbers; null for numbers. */
  readonly classes: readonly string[] | null
  /** From the output of the network, from `at` on. */
  decode(output: ArrayLike<number>, at: number): Answer
}

/** Carries a type that no value has. */
declare const type: unique symbol

/** Options as a file keeps them. */
export type ColumnOptions = Readonly<Record<string, unknown>>

/**
 * A column that the network sees: made by `column.number()` and its kin.
 *
 * @example schema({ sqft: column.number() satisfies FeatureColumn, price: target.number() })
 */
export interface FeatureColumn<Value = unknown> {
  readonly role: 'feature'
  /** Its name in `column`. */
  readonly kind: string
  /** Those given. */
  readonly options: ColumnOptions
  /** Whether the network does not see it; default false. */
  readonly isIgnored?: boolean
  readonly [type]?: readonly [Value]
  /** @internal */
  collect(name: string): Collector<Encoder>
  /** The fitted column that a file describes. @internal */
  restore(name: string, fields: Fields): Encoder
}

/**
 * A column that the network predicts: made by `target.number()` and its kin.
 *
 * @example schema({ sqft: column.number(), price: target.number() satisfies TargetColumn })
 */
export interface TargetColumn<Value = unknown, Prediction = unknown> {
  readonly role: 'target'
  /** Its name in `target`. */
  readonly kind: string
  /** Those given. */
  readonly options: ColumnOptions
  readonly [type]?: readonly [Value, Prediction]
  /** @internal */
  isMissing(value: unknown): boolean
  /** @internal */
  collect(name: string): Collector<TargetEncoder>
  /** @internal */
  restore(name: string, fields: Fields): TargetEncoder
}

/** A kind that a sample suggests, and why. */
export interface Suggestion<Made> {
  readonly column: Made
  /** For `describe()`. */
  readonly reason: string
  /** What the user should know. */
  readonly warning?: string
}

/** Looks at a sample; null if it is of another kind. */
export type Infer<Made> = (profile: Profile) => Suggestion<Made> | null
