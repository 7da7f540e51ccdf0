import { SingleBar } from 'cli-progress'
import { durationText, metricText, numberText, roundText, scoreText } from '../report/page/words.ts'
import type { Callback, TrainingRun } from '../train/callbacks/callback.ts'
import { type Output, widthOf } from './output.ts'

/** Seconds between two plain lines, so that a run of many short epochs does not fill a log. */
const SECONDS_BETWEEN_LINES = 1

/**
 * Shows how training goes: a bar with loss, metrics, rows a second and remaining time on a terminal, otherwise a line for an epoch; with --json an event for each epoch.
 *
 * @param rows How many rows an epoch has.
 */
export function progress(output: Output, rows: number): Callback {
  const shown = !output.json && !output.quiet
  const bar = shown && output.isWatched ? barOn(output) : null
  let begun = 0
  let first = 0
  let lastLine = 0
  let values: Readonly<Record<string, number>> = {}
  const speedAfter = (epochs: number) => ((epochs - first) * rows) / Math.max(1e-3, (performance.now() - begun) / 1000)
  return {
    onTrainBegin(run) {
      begun = performance.now()
      first = run.initialEpoch
      values = {}
      bar?.start(totalOf(run), 0, { speed: '', values: '', remaining: '' })
    },
    onSteps({ epoch, firstStep, losses }, run) {
      if (bar === null) return
      const done = epoch * run.stepsPerEpoch + firstStep + losses.length
      const seconds = (performance.now() - begun) / 1000
      const speed = speedAfter(done / run.stepsPerEpoch)
      const left = ((totalOf(run) - done) / Math.max(1, done - first * run.stepsPerEpoch)) * seconds
      bar.update(done, {
        values: valuesText({ loss: losses[losses.length - 1], ...values }),
        speed: `${roundText(speed)} rows/s`,
        remaining: Number.isFinite(left) ? `${durationText(left)} left` : '',
      })
    },
    onEpochEnd(epoch, measured, run) {
      values = measured
      const speed = speedAfter(epoch + 1)
      output.event({ type: 'epoch', epoch: epoch + 1, epochs: run.epochs, ...measured, rowsPerSecond: speed })
      const isLast = epoch + 1 === run.epochs
      if (!shown || bar !== null || !(isLast || performance.now() - lastLine > SECONDS_BETWEEN_LINES * 1000)) return
      lastLine = performance.now()
      output.note(`epoch ${epoch + 1} of ${run.epochs}: ${valuesText(measured)}, ${roundText(speed)} rows/s`)
    },
    onTrainEnd() {
      bar?.stop()
    },
  }
}

function totalOf({ epochs, stepsPerEpoch }: TrainingRun): number {
  return epochs * stepsPerEpoch
}

function valuesText(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(
      ([name, value]) =>
        `${metricText(name).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())} ${/loss$/i.test(name) ? numberText(value) : scoreText({ name: baseOf(name), value })}`,
    )
    .join(', ')
}

/** The metric that a value of the validation is. */
function baseOf(name: string): string {
  const base = name.replace(/^validation(?=[A-Z])/, '')
  return base === name ? name : base.charAt(0).toLowerCase() + base.slice(1)
}

function barOn(output: Output): SingleBar {
  return new SingleBar({
    stream: output.stderr as NodeJS.WriteStream,
    format: (_, { progress: share }, payload: Record<string, string>) => {
      const rest = [payload.values, payload.speed, payload.remaining].filter((text) => text !== '').join('  ')
      const percent = `${Math.floor(share * 100)}`.padStart(3)
      const width = Math.max(10, Math.min(30, widthOf(output.stderr) - rest.length - 12))
      const full = Math.round(share * width)
      return `${percent}% ${output.style('cyan', '━'.repeat(full), output.stderr)}${'─'.repeat(width - full)}  ${rest}`
    },
    fps: 10,
    // The cursor must come back however the process ends.
    hideCursor: false,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: false,
  })
}
