import { checkBoolean, checkOptions, OptionError } from '../../errors.ts'
import { type Callback, forOneRun } from './callback.ts'
import { checkPath, LogFile } from './logFile.ts'

/** Options of `callbacks.csvLog` and `callbacks.jsonLinesLog`. */
export interface LogOptions {
  /** Whether to go on behind what the file holds; otherwise it is replaced; default true. */
  readonly append?: boolean
}

/** A line of text for each epoch, on the disk before the next epoch begins. */
function lineLog(
  where: string,
  path: string,
  options: LogOptions,
  begin: (file: LogFile, names: readonly string[]) => Promise<void>,
  line: (names: readonly string[], values: readonly number[]) => string,
): Callback {
  checkPath(where, 'file', path)
  checkOptions(where, options, ['append'])
  const { append = true } = options
  checkBoolean(where, 'append', append)
  let file: LogFile | null = null
  const close = async () => {
    const open = file
    file = null
    await open?.close()
  }
  return forOneRun({
    name: where,
    async onTrainBegin({ valueNames }) {
      const taken = valueNames.find((name) => name === 'epoch' || name === 'learningRate')
      if (taken !== undefined)
        throw new OptionError(
          `${where}: a value of the epochs is called "${taken}", as a column of the log is; give that metric another name.`,
        )
      file = await LogFile.open(where, path, append ? 'append' : 'replace')
      try {
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
    onTrainEnd: close,
  })
}

/** A field of a CSV line (RFC 4180). */
const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/**
 * Writes a line for each epoch to a CSV file (RFC 4180): `epoch`, `learningRate` (of the epoch's last step) and all values, with a header of their names. A file
 * that is there is gone on with if it has the same columns. Each line is on the disk before the next epoch begins, or not there at all.
 *
 * @param path The file; folders above it are made.
 * @param options `append` true: go on behind what the file holds.
 * @throws FileError (from fit) when the disk refuses; OptionError when the file has other columns.
 * @example callbacks.csvLog('runs/first.csv', { append: false })
 */
export function csvLog(path: string, options: LogOptions = {}): Callback {
  return lineLog(
    'csvLog',
    path,
    options,
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
 * @param options `append` true: go on behind what the file holds.
 * @throws FileError (from fit) when the disk refuses.
 * @example callbacks.jsonLinesLog('runs/first.jsonl')
 */
export function jsonLinesLog(path: string, options: LogOptions = {}): Callback {
  return lineLog(
    'jsonLinesLog',
    path,
    options,
    async () => {},
    (names, values) => JSON.stringify(Object.fromEntries(names.map((name, i) => [name, values[i]]))),
  )
}
