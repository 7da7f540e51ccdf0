/** A program that answers every line of its standard input with a line of JSON. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class AnsweringProgram {
  readonly name: string
  private readonly child: ChildProcessWithoutNullStreams
  private readonly answers: AsyncIterator<string>
  private errors = ''

  constructor(name: string, program: string, programArguments: readonly string[], environment: NodeJS.ProcessEnv = process.env) {
    this.name = name
    this.child = spawn(program, programArguments, { env: environment })
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    this.child.stderr.on('data', (text) => {
      this.errors += text
    })
    // A program that has died is noticed when its answer does not come.
    this.child.stdin.on('error', () => {})
  }

  /** What it has said on its standard error. */
  get complaint(): string {
    return this.errors.trim()
  }

  /** The next answer; null when the program has ended. */
  async read<Answer>(): Promise<Answer | null> {
    const { value, done } = await this.answers.next()
    return done ? null : JSON.parse(value)
  }

  async ask<Answer>(line: string): Promise<Answer> {
    this.child.stdin.write(`${line}\n`)
    const answer = await this.read<Answer>()
    if (answer === null) throw new Error(`${this.name} ended: ${this.complaint}`)
    return answer
  }

  close(): void {
    this.child.stdin.end()
  }
}
