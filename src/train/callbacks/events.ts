/** The files TensorBoard reads: records of TensorFlow's protocol buffers. Field numbers are those of event.proto, summary.proto and histogram.proto. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import crc32c from 'crc-32/crc32c.js'
import { PbfWriter } from 'pbf'
import { LogFile } from '../../interchange/logFile.ts'
import { Pace } from '../../pace.ts'

/** A `Summary.Value`, ready to be written. */
export type SummaryValue = (writer: PbfWriter) => void

/** How many parts of equal width a histogram has. */
const BUCKETS = 30
/** Numbers to count before the event loop is looked after. */
const SLICE = 1 << 16

/** Counts files, for those begun within a second of each other. */
let files = 0

/** A new event file. */
export class EventFile {
  private readonly file: LogFile

  private constructor(file: LogFile) {
    this.file = file
  }

  static async create(where: string, directory: string): Promise<EventFile> {
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0')
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}`
    const file = new EventFile(await LogFile.open(where, join(directory, name), 'new'))
    try {
      await file.write((event) => event.writeStringField(3, 'brain.Event:2'))
    } catch (error) {
      await file.close()
      throw error
    }
    return file
  }

  async append(step: number, values: readonly SummaryValue[]): Promise<void> {
    await this.write((event) => {
      event.writeVarintField(2, step)
      writeMessage(event, 5, (summary) => {
        for (const value of values) writeMessage(summary, 1, value)
      })
    })
  }

  close(): Promise<void> {
    return this.file.close()
  }

  private async write(content: (event: PbfWriter) => void): Promise<void> {
    const event = new PbfWriter()
    event.writeDoubleField(1, Date.now() / 1000)
    content(event)
    await this.file.append(record(event.finish()))
  }
}

function writeMessage(writer: PbfWriter, field: number, content: (message: PbfWriter) => void): void {
  writer.writeMessage(field, (_, message) => content(message), null)
}

/** The length (8 bytes) and its checksum, the data and theirs: TensorFlow's TFRecord, little-endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true)
  bytes.set(data, 12)
  view.setUint32(12 + data.length, maskedChecksum(data), true)
  return bytes
}

/** CRC-32C, rotated right by 15 bits, plus a constant: so that a checksum of data that contain checksums stays a good one. */
function maskedChecksum(bytes: Uint8Array): number {
  const sum = crc32c.buf(bytes)
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0
}

export function scalar(tag: string, value: number): SummaryValue {
  return (writer) => {
    writer.writeStringField(1, tag)
    writer.writeFloatField(2, value)
  }
}

/** Counts in parts of equal width between the smallest and the largest number. */
export async function histogram(tag: string, values: Float32Array | Int32Array): Promise<SummaryValue> {
  const pace = new Pace()
  let [min, max, sum, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0]
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value < min) min = value
    if (value > max) max = value
    sum += value
    squares += value * value
    if (i % SLICE === SLICE - 1 && pace.isTooLong()) await pace.giveWay()
  }
  const width = (max - min) / BUCKETS
  const counts: number[] = new Array(width > 0 ? BUCKETS : 1).fill(0)
  for (let i = 0; i < values.length; i++) {
    counts[width > 0 ? Math.min(BUCKETS - 1, Math.floor((values[i] - min) / width)) : 0] += 1
    if (i % SLICE === SLICE - 1 && pace.isTooLong()) await pace.giveWay()
  }
  const limits = counts.map((_, i) => (i === counts.length - 1 ? max : min + (i + 1) * width))
  return (writer) => {
    writer.writeStringField(1, tag)
    writeMessage(writer, 5, (histo) => {
      for (const [i, number] of [min, max, values.length, sum, squares].entries()) histo.writeDoubleField(i + 1, number)
      histo.writePackedDouble(6, limits)
      histo.writePackedDouble(7, counts)
    })
  }
}
