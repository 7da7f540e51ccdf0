/** The types of rows and predictions, found by the compiler from the columns of a schema. */
import type { FeatureColumn, TargetColumn } from './kind.ts'
import type { ClassAnswer } from './targets.ts'

/**
 * Columns by name.
 *
 * @example schema({ sqft: column.number(), price: target.number() } satisfies Columns)
 */
export type Columns = Readonly<Record<string, FeatureColumn | TargetColumn>>

/** What a table holds in a line: values by the name of their column. */
export type Row = Readonly<Record<string, unknown>>

type ValueOf<Column> = Column extends FeatureColumn<infer Value> ? Value : Column extends TargetColumn<infer Value, unknown> ? Value : never

/** Names of columns that rows must have; those that are ignored have no type. */
type Named<C, Role> = {
  [Name in keyof C]: C[Name] extends { role: Role } ? (unknown extends ValueOf<C[Name]> ? never : Name) : never
}[keyof C]

/** An intersection as one object, which editors show as it is. */
type Flat<T> = { [Name in keyof T]: T[Name] }

type Ignored<C> = { [Name in keyof C]: unknown extends ValueOf<C[Name]> ? Name : never }[keyof C]

/**
 * A row to predict from: without the targets.
 *
 * @example type House = RowOf<{ sqft: ReturnType<typeof column.number> }>; const house: House = { sqft: 1500 }; console.log(house)
 */
export type RowOf<C extends Columns> = string extends keyof C
  ? Row
  : Flat<{ readonly [Name in Named<C, 'feature'>]: ValueOf<C[Name]> } & { readonly [Name in Ignored<C>]?: unknown }>

/** A row to train on: with the targets. */
export type TrainingRowOf<C extends Columns> = string extends keyof C
  ? Row
  : Flat<RowOf<C> & { readonly [Name in Named<C, 'target'>]: ValueOf<C[Name]> }>

type AnswerOf<Column> =
  Column extends TargetColumn<never, infer Answer> ? Answer : Column extends TargetColumn<infer _, infer Answer> ? Answer : never

type IsOne<Name, All = Name> = Name extends unknown ? ([All] extends [Name] ? true : false) : never

type OneAnswer<Name extends PropertyKey, Answer> =
  Answer extends ClassAnswer<infer Label>
    ? { readonly [N in Name]: Label } & Omit<ClassAnswer<Label>, 'label'>
    : { readonly [N in Name]: Answer }

type TargetNames<C> = { [Name in keyof C]: C[Name] extends { role: 'target' } ? Name : never }[keyof C]

/**
 * What is predicted for a row. Of one target `{ price: 297412 }`, or for classes `{ type: 'spam', probability: 0.98, probabilities }`; of several, an entry each, for
 * classes `{ label, probability, probabilities }`.
 */
export type PredictionOf<C extends Columns> = string extends keyof C
  ? Readonly<Record<string, unknown>>
  : IsOne<TargetNames<C>> extends true
    ? OneAnswer<TargetNames<C>, AnswerOf<C[TargetNames<C>]>>
    : { readonly [Name in TargetNames<C>]: AnswerOf<C[Name]> }
