/** How training went: curves, steps, learning rate. */
import type { Point, ReportData, TrainingSummary } from '../reportData.ts'
import { element, few, grid, paragraph } from './elements.ts'
import type { FigureContent, Figures, Series } from './figure.ts'
import { durationText, metricText, numberText, roundText } from './words.ts'

export function makeTraining({ training }: ReportData, figures: Figures): Node[] {
  if (!training) return []
  const names = Object.keys(training.curves)
  const validationOf = (name: string) => `validation${name.charAt(0).toUpperCase()}${name.slice(1)}`
  const validations = new Set(names.map(validationOf).filter((name) => names.includes(name)))
  const charts = names
    .filter((name) => !validations.has(name) && training.curves[name].length > 0)
    .map((name) => figures(`curve ${name}`, curveOf(training, name, validationOf(name))))
  const { stepLosses, learningRates } = training
  if (stepLosses.length > 1) {
    charts.push(
      figures('steps', {
        title: 'Loss of each step',
        text: 'The loss of single batches. It jumps from batch to batch; what counts is where its lower edge goes, and that there are no sudden peaks.',
        x: 'step',
        y: 'loss',
        bounds: { x: rangeOf(fromOne(stepLosses)) },
        series: [{ label: 'loss of a step', points: fromOne(stepLosses), color: 'second' }],
        isLogarithmic: spansMuch(stepLosses),
        table: tableOf('step', ['loss'], [fromOne(stepLosses)]),
      }),
    )
  }
  if (learningRates.length > 1) {
    const rates = learningRates.map(([, rate]) => rate)
    const isConstant = Math.min(...rates) === Math.max(...rates)
    charts.push(
      figures('rates', {
        title: 'Learning rate',
        text: isConstant
          ? `It was ${numberText(rates[0])} in all steps.`
          : 'How large the steps were that the optimizer was allowed to take.',
        x: 'step',
        y: 'learning rate',
        series: [{ label: 'learning rate', points: fromOne(learningRates), color: 'first' }],
        bounds: { x: rangeOf(fromOne(learningRates)), ...(isConstant && { y: [0, 2 * rates[0] || 1] as const }) },
        table: tableOf('step', ['learning rate'], [fromOne(learningRates)]),
      }),
    )
  }
  return [paragraph(trainingText(training)), element('div', { class: 'progress' }, progressOf(training)), grid('curves', charts)]
}

const spansMuch = (points: readonly Point[]) => {
  const values = points.map(([, y]) => y)
  const low = Math.min(...values)
  return low > 0 && Math.max(...values) / low > 10
}

/** From the first x to the last. */
const rangeOf = (points: readonly Point[]): readonly [number, number] => {
  const [first, last] = [points[0][0], points[points.length - 1][0]]
  return [first, last > first ? last : first + 1]
}

const fromOne = (points: readonly Point[]) => points.map(([x, y]): Point => [x + 1, y])

function trainingText({ state, curves, stopped, epochs, completed, bestEpoch, seconds, rowsPerSecond }: TrainingSummary): string {
  const of = epochs === null || epochs === completed ? '' : ` of ${numberText(epochs)}`
  const speed = rowsPerSecond ? `, ${roundText(rowsPerSecond)} rows a second` : ''
  const best =
    bestEpoch === null
      ? ''
      : ` The lowest ${curves.validationLoss ? 'validation ' : ''}loss${state === 'running' ? ' so far' : ''}: epoch ${numberText(bestEpoch + 1)}.`
  if (state === 'running') return `Training: ${numberText(completed)}${of} epochs done in ${durationText(seconds)}${speed}.${best}`
  const end =
    state === 'failed'
      ? ` It was ended by an error: ${stopped ?? 'unknown'}`
      : stopped && stopped !== 'completed'
        ? ` It was ended by ${stopped}.`
        : ''
  return `Trained for ${numberText(completed)}${of} epochs in ${durationText(seconds)}${speed}.${best}${end}`
}

function progressOf({ state, epochs, completed, stepsPerEpoch, stepLosses }: TrainingSummary): Node {
  if (state !== 'running' || epochs === null) return document.createTextNode('')
  const step = stepLosses[stepLosses.length - 1]?.[0] ?? 0
  const value = stepsPerEpoch === null ? completed : (step + 1) / stepsPerEpoch
  return element('progress', { max: epochs, value: Math.min(value, epochs), 'aria-label': 'Progress of the training' })
}

function curveOf({ curves, bestEpoch }: TrainingSummary, name: string, validation: string): FigureContent {
  const training = fromOne(curves[name])
  const held = curves[validation] === undefined ? null : fromOne(curves[validation])
  const shown = held ?? training
  const best = bestEpoch === null ? undefined : shown.find(([epoch]) => epoch === bestEpoch + 1)
  const word = metricText(name)
  const series: Series[] = [
    { label: 'training', points: training, color: 'second' },
    ...(held ? [{ label: 'validation', points: held, color: 'first' } as const] : []),
    ...(best
      ? [
          {
            label: `lowest${held ? ' validation' : ''} loss: epoch ${best[0]}`,
            points: [best],
            color: held ? 'first' : 'second',
            as: 'mark',
          } as const,
        ]
      : []),
  ]
  return {
    title: `${word} by epoch`,
    text: held
      ? `${word} on the training rows and on rows held out for validation. Where validation becomes worse while training goes on to become better, the network learns the training rows by heart. The circle is the epoch with the lowest validation loss.`
      : `${word} on the training rows. There were no validation rows, so this says nothing about rows the network has not seen.`,
    x: 'epoch',
    bounds: { x: rangeOf(training) },
    y: word.toLowerCase() === 'r²' ? 'R²' : word.toLowerCase(),
    series,
    isLogarithmic: spansMuch([...training, ...(held ?? [])]),
    table: tableOf('epoch', ['training', ...(held ? ['validation'] : [])], [training, ...(held ? [held] : [])]),
  }
}

/** Curves over the same x side by side; where they were thinned apart, with gaps. */
function tableOf(x: string, names: readonly string[], curves: readonly (readonly Point[])[]): FigureContent['table'] {
  const values = curves.map((curve) => new Map(curve))
  const all = [...new Set(curves.flatMap((curve) => curve.map(([at]) => at)))].sort((a, b) => a - b)
  return {
    head: [x, ...names],
    rows: few(all).map((at) => [numberText(at), ...values.map((curve) => numberText(curve.get(at)))]),
  }
}
