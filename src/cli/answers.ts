/** Answers as lines of text. */
import type { FittedSchema } from '../data/schema/fitted.ts'
import type { Row } from '../data/schema/types.ts'
import { DataError, describe } from '../errors.ts'
import { csvLine, jsonText } from '../interchange/csvLine.ts'

/** What a model for rows predicts for one. */
export type Answer = Readonly<Record<string, unknown>>

/** What is written of each row. */
export interface AnswerOptions {
  /** Columns of the rows that stand before the prediction. */
  readonly keep: readonly string[] | 'all'
  /** Whether the probability of each class is written, and not of the predicted one only. */
  readonly probabilities: boolean
}

/** Rows with their answers, as text. */
export interface AnswerWriter {
  /** What stands above the lines. @param names The columns of the rows. */
  head(names: readonly string[]): string
  /** @param answer Null for a row that could not be predicted. */
  line(row: Row, answer: Answer | null): string
}

/** A column of answers. */
interface AnswerColumn {
  readonly name: string
  readonly of: (answer: Answer) => unknown
}

/** A prediction beside a kept column of the same name, such as the true value. */
const beside = (name: string) => `predicted_${name}`

/** A line of JSON for each row: the answer as `predict` gives it. */
export class JsonLinesWriter implements AnswerWriter {
  private readonly targets: readonly string[]
  private readonly options: AnswerOptions

  constructor({ outputs }: FittedSchema, options: AnswerOptions) {
    this.targets = outputs.map(({ name }) => name)
    this.options = options
  }

  head(): string {
    return ''
  }

  line(row: Row, answer: Answer | null): string {
    const { keep } = this.options
    const kept = Object.entries(row).filter(([name]) => keep === 'all' || keep.includes(name))
    const names = new Set(kept.map(([name]) => name))
    const told = Object.entries(answer === null ? this.blank() : this.told(answer))
    return `${jsonText(Object.fromEntries([...kept, ...told.map(([name, value]) => [names.has(name) ? beside(name) : name, value])]))}\n`
  }

  private blank(): Answer {
    return Object.fromEntries(this.targets.map((name) => [name, null]))
  }

  private told(answer: Answer): Answer {
    if (this.options.probabilities) return answer
    if (this.targets.length > 1) return Object.fromEntries(Object.entries(answer).map(([name, part]) => [name, withoutProbabilities(part)]))
    return withoutProbabilities(answer) as Answer
  }
}

function withoutProbabilities(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return answer
  const { probabilities: _, ...rest } = answer as Answer
  return rest
}

/** A line of values for each row, below the names of the columns. */
export class CsvWriter implements AnswerWriter {
  private readonly answers: readonly AnswerColumn[]
  private readonly keep: AnswerOptions['keep']
  private readonly delimiter: string
  private kept: readonly string[] = []
  private known: ReadonlySet<string> = new Set()

  constructor(schema: FittedSchema, { keep, probabilities }: AnswerOptions, delimiter = ',') {
    this.answers = answerColumns(schema, probabilities)
    this.keep = keep
    this.delimiter = delimiter
  }

  head(names: readonly string[]): string {
    this.kept = this.keep === 'all' ? names : this.keep
    this.known = new Set(names)
    const answers = this.answers.map(({ name }) => (this.kept.includes(name) ? beside(name) : name))
    return `${csvLine([...this.kept, ...answers], this.delimiter)}\n`
  }

  line(row: Row, answer: Answer | null): string {
    if (this.keep === 'all')
      for (const name of Object.keys(row))
        if (!this.known.has(name))
          throw new DataError(
            `a row has a column ${describe(name)}, which the first row has not; name the columns with --keep, or write --output-format jsonLines.`,
          )
    const values = this.kept.map((name) => (Object.hasOwn(row, name) ? row[name] : null))
    for (const { of } of this.answers) values.push(answer === null ? null : of(answer))
    return `${csvLine(values, this.delimiter)}\n`
  }
}

/** A number is a column; a class two, label and probability; a vector one for each of its numbers. Of several targets all carry the name of theirs. */
export function answerColumns({ outputs, schema }: FittedSchema, probabilities: boolean): readonly AnswerColumn[] {
  return outputs.flatMap(({ name, units, classes }): AnswerColumn[] => {
    if (schema.columns.get(name)?.kind === 'vector')
      return Array.from({ length: units }, (_, i) => ({ name: `${name}.${i}`, of: (answer) => (answer[name] as readonly number[])[i] }))
    if (classes === null) return [{ name, of: (answer) => answer[name] }]
    const isOnly = outputs.length === 1
    const part = (answer: Answer) => (isOnly ? answer : answer[name]) as Answer & { readonly probabilities: Answer }
    const probability = isOnly ? 'probability' : `${name}.probability`
    return [
      { name, of: (answer) => part(answer)[isOnly ? name : 'label'] },
      { name: probability, of: (answer) => part(answer).probability },
      ...(probabilities
        ? classes.map((label) => ({ name: `${probability}.${label}`, of: (answer: Answer) => part(answer).probabilities[label] }))
        : []),
    ]
  })
}
