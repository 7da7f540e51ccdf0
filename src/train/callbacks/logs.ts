import { checkBoolean, checkOptions, checkPath } from '../../checks.ts'
import { describe, OptionError } from '../../errors.ts'
import { LogFile } from '../../interchange/logFile.ts'
import { type Callback, forOneRun } from './callback.ts'

/** Options of `callbacks.csvLog` and `callbacks.jsonLinesLog`. */
export interface LogOptions {
  /**
   * Whether to go on behind what the file holds. Otherwise the first run with this callback replaces a log of before, and later runs with the same one (another
   * call of fit, the next fold) go on behind; what is no such log is never replaced. Default false.
   */
  readonly append?: boolean
}

/** A line of text for each epoch, on the disk before the next epoch begins. */
function lineLog(
  where: string,
  path: string,
  options: LogOptions,
  isLog: (start: string) => boolean,
  begin: (file: LogFile, names: readonly string[]) => Promise<void>,
  line: (names: readonly string[], values: readonly number[]) => string,
): Callback {
  checkPath(where, 'file', path)
  checkOptions(where, options, ['append'])
  const { append = false } = options
  checkBoolean(where, 'append', append)
  let file: LogFile | null = null
  let goesOn = append
  const close = async () => {
    const open = file
    file = null
    await open?.close()
  }
  return forOneRun({
    name: where,
    async onTrainBegin({ valueNames, resumed }) {
      const taken = valueNames.find((name) => name === 'epoch' || name === 'learningRate')
      if (taken !== undefined)
        throw new OptionError(
          `${where}: a value of the epochs is called "${taken}", as a column of the log is; give that metric another name.`,
        )
      file = await LogFile.open(where, path, 'append')
      try {
        if (!goesOn && !resumed && !file.isEmpty) {
          const start = (await file.start(100)).toString()
          if (!isLog(start))
            throw new OptionError(
              `${where}: "${path}" is no log of this kind (it begins with ${describe(start)}) and is not replaced; give another path, or remove the file.`,
            )
          await file.cut(0)
        }
        goesOn = true
        await begin(file, ['epoch', 'learningRate', ...valueNames])
        if (!(await file.endsWithLine())) await file.append('\n')
      } catch (error) {
        await close()
        throw error
      }
    },
    async onEpochEnd(epoch, values, { learningRate, valueNames }) {
      const all: Record<string, number> = { ...values, epoch, learningRate }
      const names = ['epoch', 'learningRate', ...valueNames]
      const written = line(
        names,
        names.map((name) => all[name]),
      )
      await file?.append(`${written}\n`)
    },
    save: () => ({ length: file?.size ?? 0 }),
    // Lines of epochs that come again.
    restore: (saved) => file?.cut((saved as { length: number }).length),
    onTrainEnd: close,
  })
}

/** A field of a CSV line (RFC 4180). */
const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/**
 * Writes a line for each epoch to a CSV file (RFC 4180): `epoch`, `learningRate` (of the epoch's last step) and all values, with a header of their names. Each line is on the disk before the next epoch begins, or not there at all.
 *
 * @param path The file; folders above it are made.
 * @param options `append` false: replace a log of before, once; true: go on behind it, if it has the same columns.
 * @throws FileError (from fit) when the disk refuses; OptionError when the file is no such log, or has other columns.
 * @example callbacks.csvLog('runs/first.csv', { append: true })
 */
export function csvLog(path: string, options: LogOptions = {}): Callback {
  return lineLog(
    'csvLog',
    path,
    options,
    (start) => start.startsWith('epoch,learningRate'),
    async (file, names) => {
      const header = `${names.map(field).join(',')}\n`
      if (file.isEmpty) return file.append(header)
      // Of a file that ends with its header the end of the line may be missing.
      if (`${await file.start(Buffer.byteLength(header))}\n`.startsWith(header)) return
      const [found] = (await file.start(200)).toString().split('\n', 1)
      throw new OptionError(
        `csvLog: "${path}" has the columns ${found}, this run would write ${names.join(',')}; give another path, or append: false to replace it.`,
      )
    },
    (_, values) => values.join(','),
  )
}

/**
 * Writes a line of JSON for each epoch (JSON Lines): `{"epoch":0,"learningRate":0.001,"loss":…}`; what is no finite number becomes null. Each
 * line is on the disk before the next epoch begins, or not there at all.
 *
 * @param path The file; folders above it are made.
 * @param options `append` false: replace a log of before, once; true: go on behind it.
 * @throws FileError (from fit) when the disk refuses; OptionError when the file is no such log.
 * @example callbacks.jsonLinesLog('runs/first.jsonl')
 */
export function jsonLinesLog(path: string, options: LogOptions = {}): Callback {
  return lineLog(
    'jsonLinesLog',
    path,
    options,
    (start) => start.startsWith('{"epoch":'),
    async () => {},
    (names, values) => JSON.stringify(Object.fromEntries(names.map((name, i) => [name, values[i]]))),
  )
}
