/** The kinds of columns. A new kind is a file, an entry in `column` (or `target`), and one in the order of inference if samples can tell it. */
import { DataError, describe } from '../../errors.ts'
import { boolean, inferBoolean } from './boolean.ts'
import { category, inferCategory } from './category.ts'
import { date, inferDate } from './date.ts'
import type { Fields } from './fields.ts'
import { ignore, inferIgnore } from './ignore.ts'
import type { FeatureColumn, Infer, TargetColumn } from './kind.ts'
import { inferNumber, integer, number } from './number.ts'
import { targetBoolean, targetCategory, targetNumber, targetVector } from './targets.ts'
import { inferText, text } from './text.ts'
import { image, inferImage, inferVector, vector } from './vector.ts'

/**
 * The columns that a network sees, each with options of its own: what a schema is made of.
 *
 * @example schema({ sqft: column.number(), city: column.category(), price: target.number() })
 */
export const column = { number, integer, category, boolean, text, date, image, vector, ignore }

/**
 * The columns that a network predicts.
 *
 * @example schema({ sqft: column.number(), city: column.category(), price: target.number() })
 */
export const target = { number: targetNumber, category: targetCategory, boolean: targetBoolean, vector: targetVector }

/** Asked in this order; the first that knows a sample's values has them. */
export const inferences: readonly Infer<FeatureColumn>[] = [
  inferIgnore,
  inferImage,
  inferVector,
  inferBoolean,
  inferDate,
  inferNumber,
  inferText,
  inferCategory,
]

/** The column that a file describes: its factory checks the options as it does those of a user. */
export function columnFrom(fields: Fields): FeatureColumn | TargetColumn {
  const role = fields.string('role')
  const kind = fields.string('kind')
  const kinds: Readonly<Record<string, unknown>> = role === 'target' ? target : column
  if ((role !== 'target' && role !== 'feature') || !Object.hasOwn(kinds, kind))
    throw new DataError(
      `${fields.where}: there is no ${role === 'target' ? 'target' : 'column'} of kind ${describe(kind)}; it may need a newer thalweg.`,
    )
  fields.object('options')
  return (kinds[kind] as (options: unknown) => FeatureColumn | TargetColumn)(fields.any('options'))
}
