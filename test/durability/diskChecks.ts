/** What a full disk may not do: lose what was there, leave pieces, or spoil what is in memory. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Callback,
  callbacks,
  dense,
  type FitOptions,
  input,
  loadModel,
  sequential,
  space,
  tune,
  writeReport,
} from '../../src/index.ts'

/** A small file system of its own. */
export class SmallDisk {
  readonly path: string
  /** Why there is none, where there is none. */
  readonly reason: string | null

  constructor(path: string) {
    this.path = path
    mkdirSync(path, { recursive: true })
    const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', path], { encoding: 'utf8' })
    this.reason = status === 0 ? null : `no small disk can be mounted here: ${(error?.message ?? stderr).trim()}`
  }

  /** Leaves no room. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.path)
    writeFileSync(this.filler, Buffer.alloc(bavail * bsize))
  }

  makeRoom(): void {
    rmSync(this.filler, { force: true })
  }

  /** What is on it, and what it holds. */
  contents(): Record<string, string> {
    const files = readdirSync(this.path, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name !== 'filler',
    )
    return Object.fromEntries(files.map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'base64')]))
  }

  unmount(): void {
    if (this.reason === null) spawnSync('umount', [this.path])
  }

  private get filler(): string {
    return join(this.path, 'filler')
  }
}

/** Throws unless something holds. */
function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** Expects an error that says that a file could not be written, and that nothing on the disk is other than before. */
async function refused(disk: SmallDisk, path: string, work: () => Promise<unknown>): Promise<void> {
  const before = JSON.stringify(disk.contents())
  await expectFull(path, work)
  check(JSON.stringify(disk.contents()) === before, 'files are other than before')
}

async function expectFull(path: string, work: () => Promise<unknown>): Promise<void> {
  const error = await work().then(
    () => null,
    (reason) => reason as { code?: string; message: string },
  )
  check(error !== null, 'nothing was refused')
  const { code, message } = error as { code?: string; message: string }
  check(code === 'ERR_FILE' && message.includes(path) && /full|no space/i.test(message), `the error is ${code}: ${message}`)
}

const x = Array.from({ length: 96 }, (_, i) => [Math.sin(i), Math.cos(2 * i)])
const data = { x, y: x.map(([a, b]) => a * b) }
const build = () => sequential([input(2), dense(32, { activation: 'tanh' }), dense(32, { activation: 'tanh' }), dense(1)], { seed: 6 })
const options = (more: Partial<FitOptions> = {}): FitOptions => ({
  loss: 'meanSquaredError',
  optimizer: 'adam',
  epochs: 6,
  batchSize: 16,
  ...more,
})
const bits = (net: ReturnType<typeof build>) => JSON.stringify(Object.values(net.weights()).map(({ data }) => [...data]))
const fillAfter = (disk: SmallDisk, last: number): Callback => ({
  onEpochEnd: (epoch) => {
    if (epoch === last) disk.fill()
  },
})

/** By what they are about; `elsewhere` is a folder with room. */
export const diskChecks: Readonly<Record<string, (disk: SmallDisk, elsewhere: string) => Promise<void>>> = {
  async 'a model that is saved'(disk, elsewhere) {
    const path = join(disk.path, 'net.safetensors')
    const net = build()
    await net.save(path)
    const saved = bits(net)
    await net.fit(data, options({ epochs: 1 }))
    disk.fill()
    await refused(disk, path, () => net.save(path))
    check(bits((await loadModel(path)) as never) === saved, 'the file of before is other than before')
    await net.save(join(elsewhere, 'net.safetensors'))
    check(bits((await loadModel(join(elsewhere, 'net.safetensors'))) as never) === bits(net), 'the model in memory was spoilt')
    disk.makeRoom()
    await net.save(path)
  },

  async checkpoints(disk, elsewhere) {
    const whole = build()
    const expected = JSON.stringify(await whole.fit(data, options()))
    const checkpoint = { directory: join(disk.path, 'run'), everyEpochs: 1, keepBest: true, signals: false }
    const net = build()
    let before = ''
    const keep: Callback = {
      onEpochBegin() {
        before = JSON.stringify(disk.contents())
      },
    }
    await expectFull(checkpoint.directory, () => net.fit(data, options({ checkpoint, callbacks: [fillAfter(disk, 2), keep] })))
    const names = Object.keys(disk.contents()).filter((name) => name.startsWith(checkpoint.directory))
    check(
      names.every((name) => /(step-\d{9}|best)\.safetensors$/.test(name)),
      `the directory has ${names.join(', ')}`,
    )
    check(
      names.every((name) => before.includes(name)),
      'a file came while there was no room',
    )
    await net.predict([[0, 0]])
    await net.save(join(elsewhere, 'stopped.safetensors'))
    disk.makeRoom()
    const again = build()
    const history = JSON.stringify(await again.fit(data, options({ checkpoint })))
    check(history === expected && bits(again) === bits(whole), 'the run goes on to other bits')
  },

  async 'logs of training'(disk) {
    for (const log of [callbacks.csvLog, callbacks.jsonLinesLog]) {
      const path = join(disk.path, 'runs', log.name)
      const net = build()
      await expectFull(path, () => net.fit(data, options({ epochs: 300, callbacks: [log(path), fillAfter(disk, 3)] })))
      const text = readFileSync(path, 'utf8')
      check(text.endsWith('\n') && text.split('\n').length > 4, 'the log does not end with a whole line')
      await net.predict([[0, 0]])
      disk.makeRoom()
      await build().fit(data, options({ epochs: 2, callbacks: [log(path)] }))
    }
  },

  async 'the journal of a search'(disk) {
    const journal = join(disk.path, 'search.jsonl')
    // Lines longer than a page of the file system, so that one will not fit.
    const parameters = { units: space.number(0, 1), label: 'x'.repeat(5000) }
    const search = (onTrial = () => {}) => tune({ space: parameters, trial: ({ units }) => units, trials: 6, journal, onTrial })
    await expectFull(journal, () => search(() => disk.fill()))
    check(readFileSync(journal, 'utf8').endsWith('\n'), 'the journal does not end with a whole line')
    disk.makeRoom()
    await search()
  },

  async 'a report'(disk) {
    const path = join(disk.path, 'report.html')
    await writeReport(path, { title: 'before' })
    disk.fill()
    await refused(disk, path, () => writeReport(path, { title: 'after' }))
    check(readFileSync(path, 'utf8').includes('before'), 'the report of before is gone')
  },
}
