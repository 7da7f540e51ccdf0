/** Numbers and names as a reader says them, and what the results mean in sentences. */
import type { ReportData, ReportScore } from '../reportData.ts'

const SPACE = '\u202f'

/** @param digits Significant ones; those before the point are all written. */
export function numberText(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(Math.min(digits, 3) - 1).replace(/\.?0*e\+?/, 'e')
  const text = value.toLocaleString('en-US', {
    useGrouping: 'min2' as never,
    maximumSignificantDigits: Math.max(digits, Math.min(integerDigits(size), 12)),
  })
  return text.replace('-', '−')
}

function integerDigits(size: number): number {
  return size >= 1 ? Math.floor(Math.log10(size)) + 1 : 0
}

/** Rounded to significant digits also before the point: 14,300. */
export function roundText(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? '–' : numberText(Number(value.toPrecision(digits)), digits)
}

export function percentText(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–'
  const percent = share * 100
  if (percent > 0 && percent < 0.05) return `<0.1${SPACE}%`
  const isRound = Math.abs(percent - Math.round(percent)) < 0.05 || (percent >= 10 && percent <= 90)
  return `${percent.toLocaleString('en-US', { maximumFractionDigits: isRound ? 0 : 1 }).replace('-', '−')}${SPACE}%`
}

export function countText(count: number, thing: string, things = `${thing}s`): string {
  return `${numberText(count)} ${count === 1 ? thing : things}`
}

export function durationText(seconds: number): string {
  if (seconds < 0.95) return `${roundText(seconds, 2)}${SPACE}s`
  if (seconds < 10) return `${seconds.toFixed(1)}${SPACE}s`
  const whole = Math.round(seconds)
  if (whole < 100) return `${whole}${SPACE}s`
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  return hours > 0 ? `${hours}${SPACE}h ${minutes}${SPACE}min` : `${minutes}${SPACE}min ${whole % 60}${SPACE}s`
}

const metricWords = new Map([
  ['r2Score', 'R²'],
  ['rocAuc', 'AUC'],
  ['prAuc', 'Average precision'],
  ['f1', 'F1'],
  ['loss', 'Loss'],
  ['meanSquaredError', 'Mean squared error'],
  ['meanAbsoluteError', 'Mean absolute error'],
  ['rootMeanSquaredError', 'Root mean squared error'],
])

/** `balancedAccuracy` is "Balanced accuracy". */
export function metricText(name: string): string {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`)
  return metricWords.get(name) ?? spaced.charAt(0).toUpperCase() + spaced.slice(1)
}

const shares = new Set(['accuracy', 'balancedAccuracy'])
const upToOne = new Set(['r2Score', 'rocAuc', 'prAuc', 'f1'])

/** The score as it is usually written: accuracy in percent, errors rounded. */
export function scoreText({ name, value }: ReportScore): string {
  if (shares.has(name)) return percentText(value)
  return value !== null && upToOne.has(name) ? closeToOneText(value) : roundText(value)
}

/** The scores in words, the most important first; none without results. */
export function headline({ task, target, results }: ReportData): string[] {
  if (!results) return []
  const scoreOf = (name: string) => results.scores.find((score) => score.name === name)?.value ?? null
  const what = target ? `“${target}”` : 'the target'
  const rows = countText(results.rows, 'row')
  if (task === 'regression' || results.residuals) {
    const r2 = scoreOf('r2Score')
    const sizeOf = (share: number) => results.residuals?.quantiles.find((quantile) => quantile.share === share)?.size
    return [
      r2 === null
        ? `${what.charAt(0).toUpperCase() + what.slice(1)} is the same in all ${rows}, so that nothing can be said about differences.`
        : r2 < 0
          ? `R² ${roundText(r2, 2)}: worse than always answering the mean of ${what}.`
          : `R² ${closeToOneText(r2)}: the network explains ${percentText(r2)} of the differences in ${what}, on ${rows} it has not seen.`,
      `A prediction is off by ${roundText(scoreOf('meanAbsoluteError'))} on average; half are within ${roundText(sizeOf(0.5))} of the truth, nine of ten within ${roundText(sizeOf(0.9))}.`,
    ]
  }
  const accuracy = scoreOf('accuracy')
  const commonest = results.commonestShare
  const right = `The network is right in ${percentText(accuracy)} of ${rows} it has not seen`
  const baseline = commonest === undefined ? '.' : `; always answering the most frequent class would be right in ${percentText(commonest)}.`
  const auc = scoreOf('rocAuc')
  if (task !== 'binary' || auc === null) return [`Accuracy ${percentText(accuracy)}.`, right + baseline]
  const [no, yes] = results.labels ?? ['0', '1']
  return [
    `AUC ${closeToOneText(auc)}: of one row that is “${yes}” and one that is “${no}”, the network gives the first the higher probability in ${percentText(auc)} of cases.`,
    right + baseline,
  ]
}

/** 0.92, but 0.974 and 0.9976: the nearer to 1, the more the last digits mean. */
const closeToOneText = (value: number) => value.toFixed(value > 0.99 ? 4 : value > 0.95 ? 3 : 2).replace('-', '−')
