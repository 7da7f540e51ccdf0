import { join } from 'node:path'
import { checkOptions, checkPath } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { validationName } from '../names.ts'
import { type Callback, forOneRun, type TrainingRun } from './callback.ts'
import type { EventFile, SummaryValue } from './events.ts'

// Loaded when a run begins: with what it depends on it takes longer to load than all the rest, and most programs do not need it.
const format = () => import('./events.ts')

/** Options of `callbacks.tensorBoard`. */
export interface TensorBoardOptions {
  /**
   * Write histograms of the weights, and of the gradients of the latest step (as the optimizer left them), every so many epochs; default 0: none. With
   * them all gradients are stored, those of large kernels too.
   */
  readonly histograms?: number
}

/**
 * Writes event files for TensorBoard: in `directory`/train the loss, the metrics, the learning rate and, if wanted, histograms; in
 * `directory`/validation the validation's values under the same names, so that both appear in one chart. Every run adds files of its own; each
 * epoch is on the disk before the next begins. Show them with `tensorboard --logdir` and the folder above.
 *
 * @param directory A folder for this run, such as 'runs/first'; it is made.
 * @param options `histograms` 0: none.
 * @throws FileError (from fit) when the disk refuses.
 * @example callbacks.tensorBoard('runs/first', { histograms: 5 })
 */
export function tensorBoard(directory: string, options: TensorBoardOptions = {}): Callback {
  checkPath('tensorBoard', 'folder', directory)
  checkOptions('tensorBoard', options, ['histograms'])
  const { histograms = 0 } = options
  if (!Number.isSafeInteger(histograms) || histograms < 0)
    throw new OptionError(`tensorBoard: histograms must be an integer of at least 0 (every how many epochs), got ${describe(histograms)}.`)
  let files: EventFile[] = []
  const close = async () => {
    const open = files
    files = []
    for (const file of open) await file.close()
  }
  return forOneRun({
    name: 'tensorBoard',
    readsGradients: histograms > 0,
    async onTrainBegin({ valueNames }) {
      const { EventFile } = await format()
      const parts = valueNames.includes('validationLoss') ? ['train', 'validation'] : ['train']
      try {
        for (const part of parts) files.push(await EventFile.create('tensorBoard', join(directory, part)))
      } catch (error) {
        await close()
        throw error
      }
    },
    async onEpochEnd(epoch, values, run) {
      const { scalar } = await format()
      const names = run.valueNames.filter((name) => !isValidation(name, run))
      const shown = histograms > 0 && (epoch + 1) % histograms === 0 ? await histogramsOf(run) : []
      const [train, validation] = files
      await train.append(epoch, [...names.map((name) => scalar(name, values[name])), scalar('learningRate', run.learningRate), ...shown])
      await validation?.append(
        epoch,
        names.map((name) => scalar(name, values[validationName(name)])),
      )
    },
    onTrainEnd: close,
  })
}

/** Whether it is the validation's value of another. */
function isValidation(name: string, { valueNames }: TrainingRun): boolean {
  return valueNames.some((other) => name === validationName(other))
}

async function histogramsOf(run: TrainingRun): Promise<SummaryValue[]> {
  const { histogram } = await format()
  const gradients = run.latestGradients()
  const shown: SummaryValue[] = []
  for (const [name, values] of Object.entries(run.parameters())) {
    // TensorBoard groups by what stands before the first slash.
    const tag = name.replaceAll('.', '/')
    shown.push(await histogram(`weights/${tag}`, values))
    shown.push(await histogram(`gradients/${tag}`, gradients[name]))
  }
  return shown
}
