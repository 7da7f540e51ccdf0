import { inference } from './defaults.ts'
import type { FeatureColumn, Infer } from './kind.ts'

/**
 * A column that the network does not see. Rows may be without it.
 *
 * @example schema({ id: column.ignore(), sqft: column.number(), price: target.number() })
 */
export function ignore(): FeatureColumn {
  const encoder = { input: 'features', dtype: 'float32', shape: [0], names: [], encode: () => null, toJSON: () => ({}) } as const
  return {
    role: 'feature',
    kind: 'ignore',
    options: {},
    isIgnored: true,
    collect: () => ({ add: () => null, finish: () => encoder }),
    restore: () => encoder,
  }
}

/** Columns from which nothing can be learned: empty ones, constants and identifiers. */
export const inferIgnore: Infer<FeatureColumn> = (profile) => {
  const because = (reason: string) => ({ column: ignore(), reason, warning: `it is ignored: ${reason}` })
  const { values, distinct, missing, constant } = profile
  if (values.length === 0) return because('it is empty')
  if (constant !== null && missing === 0) return because(`it is constant, ${JSON.stringify(constant.slice(0, 40))}`)
  if (values.length < inference.fewestRows || distinct.size < values.length) return null
  const { numbers } = profile
  const isMeasured = profile.markedNumbers.numbers.length > 0 || profile.markedDates.numbers.length > 0
  if (numbers !== null && missing === 0 && numbers.every((x, i) => i === 0 || x === numbers[i - 1] + 1))
    return because('its integers count the rows')
  if (!isMeasured && profile.words <= 1.5) return because('its values are all different, as those of an identifier')
  return null
}
