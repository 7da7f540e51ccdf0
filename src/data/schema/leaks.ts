/** Columns that give the target away: what a model finds in them it will not find when it is used. */
import { inference } from './defaults.ts'
import type { Profile } from './profile.ts'
import { numberOf, textOf } from './values.ts'

/** What is suspicious about a column, given both columns of a sample row by row; null if nothing is. */
export function leakOf(
  feature: readonly unknown[],
  target: readonly unknown[],
  { numbers: targetNumbers, distinct }: Profile,
): string | null {
  const isNumber = targetNumbers !== null && distinct.size > inference.mostIntegerClasses
  const rows = [...feature.keys()].filter((i) => isThere(feature[i]) && isThere(target[i]))
  if (rows.length < inference.fewestRows || rows.length * 2 < feature.length) return null
  const texts = rows.map((i) => [String(textOf(feature[i])), String(textOf(target[i]))] as const)
  if (texts.every(([a, b]) => a === b)) return 'it is equal to the target'
  const numbers = rows.map((i) => numberOf(feature[i]))
  const areNumbers = numbers.every(Number.isFinite)
  if (isNumber && areNumbers) {
    const r = correlation(
      numbers,
      rows.map((i) => numberOf(target[i])),
    )
    if (Math.abs(r) > inference.leak) return `its correlation is ${Number(r.toFixed(6))} with the target`
  }
  if (!isNumber && areNumbers && separates(texts, numbers)) return 'its numbers tell apart without error the classes of the target'
  if (decides(texts, distinct.size)) return 'each of its values occurs with one value alone of the target'
  return null
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
  const [meanOfA, meanOfB] = [mean(a), mean(b)]
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - meanOfA) * (b[i] - meanOfB)
    aa += (a[i] - meanOfA) ** 2
    bb += (b[i] - meanOfB) ** 2
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb)
}

/** Whether the classes, each seen often, lie in ranges that do not touch. */
function separates(texts: readonly (readonly [string, string])[], numbers: readonly number[]): boolean {
  const ranges = new Map<string, { low: number; high: number; count: number }>()
  texts.forEach(([, label], i) => {
    const range = ranges.get(label) ?? { low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY, count: 0 }
    ranges.set(label, { low: Math.min(range.low, numbers[i]), high: Math.max(range.high, numbers[i]), count: range.count + 1 })
  })
  const sorted = [...ranges.values()].sort((a, b) => a.low - b.low)
  const often = sorted.every(({ count }) => count >= inference.fewestRows / 2)
  return sorted.length > 1 && often && sorted.every(({ low }, i) => i === 0 || low > sorted[i - 1].high)
}

/** Whether each value, on average seen often, has one value of the target, and they have different ones. */
function decides(texts: readonly (readonly [string, string])[], targets: number): boolean {
  const targetOf = new Map<string, string>()
  for (const [value, label] of texts) {
    const known = targetOf.get(value)
    if (known !== undefined && known !== label) return false
    targetOf.set(value, label)
  }
  return targetOf.size * 4 <= texts.length && targetOf.size > 1 && new Set(targetOf.values()).size > 1 && targets > 1
}
