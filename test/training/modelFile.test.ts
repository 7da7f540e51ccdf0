/** Model files: a model that was saved and loaded goes on as if nothing had happened, and a bad file is refused by name. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import {
  adam,
  dense,
  type Initializer,
  input,
  loadModel,
  loadWeights,
  type Model,
  model,
  multiply,
  NdArray,
  parameter,
  readSafetensors,
  sequential,
  sum,
  type Tensor,
  ThalwegError,
  writeSafetensors,
} from '../../src/index.ts'
import type { Json } from '../../src/interchange/graph.ts'
import { readModelFile } from '../../src/train/loadModel.ts'
import { MODEL_ENTRY } from '../../src/train/modelFile.ts'
import { version } from '../../src/version.ts'
import { cases } from '../unit/interchange/models.ts'
import { bitsOf, executors, expectRefusal, stepsOf, xor } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'thalweg-models-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'net.safetensors')

describe.each(executors)('%s', (executor) => {
  it.each(Object.entries(cases))('%s: goes on with the same bits after it was saved in mid-life', async (_, { make, data, loss }) => {
    const net = make({ executor })
    await net.fit(data, { loss, epochs: 1, batchSize: 7 })
    await net.save(path)
    const loaded = await loadModel(path, { executor })
    expect([bitsOf(loaded), stepsOf(loaded), loaded.seed]).toEqual([bitsOf(net), stepsOf(net), net.seed])
    expect(loaded.trainableParameters.map(({ name }) => name)).toEqual(net.trainableParameters.map(({ name }) => name))
    const options = () => ({ loss, epochs: 2, batchSize: 7, optimizer: adam() })
    expect(await loaded.fit(data, options())).toEqual(await net.fit(data, options()))
    expect(bitsOf(loaded)).toEqual(bitsOf(net))
    expect(await loaded.predictAll(data.x)).toEqual(await net.predictAll(data.x))
    loaded.initialize()
    net.initialize()
    expect(bitsOf(loaded)).toEqual(bitsOf(net))
  })
})

const small = () => sequential([input(2), dense(4, { activation: 'tanh', name: 'hidden' }), dense(1)], { seed: 3 })

describe('saving', () => {
  it('keeps metadata, and weights that setWeights takes', async () => {
    const net = small()
    await net.save(path, { metadata: { 'my note': 'für später' } })
    const { metadata } = await readModelFile(path)
    expect(metadata.get('my note')).toBe('für später')
    expect(JSON.parse(metadata.get(MODEL_ENTRY) as string).thalweg).toBe(version)
    expect(version).toBe(packageJson.version)
    const other = sequential([input(2), dense(4, { name: 'hidden' }), dense(1)], { seed: 4 })
    other.setWeights(await loadWeights(path))
    expect(bitsOf(other)).toEqual(bitsOf(net))
    expect(bitsOf(await loadModel(readFileSync(path)))).toEqual(bitsOf(net))
  })

  it('waits for what is running, and stores what is there between two steps', async () => {
    const net = small()
    const run = net.fit(xor, { loss: 'meanSquaredError', epochs: 40 })
    const saved = net.save(path)
    await Promise.all([run, saved])
    const between = await loadModel(path)
    const twin = small()
    if (stepsOf(between) > 0) await twin.fit(xor, { loss: 'meanSquaredError', epochs: stepsOf(between) })
    expect(bitsOf(between)).toEqual(bitsOf(twin))
    await net.fit(xor, { loss: 'meanSquaredError', epochs: 3, onEpochEnd: () => net.save(path) })
    expect(bitsOf(await loadModel(path))).toEqual(bitsOf(net))
    expect(stepsOf(await loadModel(path))).toBe(43)
  })

  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types can do.
  it.each<[string, any[], string[]]>([
    ['no path', [], ['save: expected the path of a file, got undefined']],
    ['a misspelt option', [path, { meta: {} }], ['Unknown option "meta"']],
    ['metadata in place of options', [path, { metadata: 'note' }], ['metadata must be an object', 'got "note"']],
    ['a signal that is none', [path, { signal: 1 }], ['must be an AbortSignal']],
    ['the name of the model itself', [path, { metadata: { [MODEL_ENTRY]: '{}' } }], ['is the model itself']],
  ])('refuses %s', async (_, given, parts) => {
    // @ts-expect-error
    await expectRefusal(() => small().save(...given), 'ERR_OPTION', ...parts)
  })

  it('refuses functions that make no graph of the model, and leaves the file that was there', async () => {
    const net = small()
    await net.save(path)
    const penalised = (kernelRegularizer: (x: Tensor) => Tensor) => sequential([input(2), dense(1, { kernelRegularizer })])
    const elsewhere = parameter('elsewhere', [2, 1], (values) => values.fill(1))
    await expectRefusal(
      () => penalised(() => 3 as never).save(path),
      'ERR_OPTION',
      'save: the function regularize of parameter "kernel"',
      'got 3',
    )
    await expectRefusal(
      () => penalised((x) => sum(multiply(x, elsewhere))).save(path),
      'ERR_OPTION',
      'reads another variable float32 [2, 1]',
    )
    expect(bitsOf(await loadModel(path))).toEqual(bitsOf(net))
  })

  it('says when it cannot be initialized again: initializers of a user’s own are not in the file', async () => {
    const own: Initializer = (values) => values.fill(0.5)
    const net = sequential([input(2), dense(3, { kernelInitializer: own, name: 'body' }), dense(1)])
    await net.save(path)
    const loaded = await loadModel(path)
    expect(bitsOf(loaded)).toEqual(bitsOf(net))
    await expectRefusal(() => loaded.initialize(), 'ERR_OPTION', 'initialize: the initializer of body.kernel was a function of your own')
    expect(bitsOf(loaded)).toEqual(bitsOf(net))
    // What is made of it begins with its values, and needs no initializer.
    const x = input(2)
    const head = model(x, dense(loaded.apply(x), 2, { name: 'head' }))
    expect([...head.weights()['body.kernel'].data]).toEqual([...net.weights()['body.kernel'].data])
    await expectRefusal(() => model(loaded.inputs, loaded.outputs), 'ERR_OPTION', 'model: the initializer of body.kernel')
    await loaded.save(path)
    expect(bitsOf(await loadModel(path))).toEqual(bitsOf(net))
  })
})

/** A file of the small model whose description was changed. */
async function changed(
  change: (description: Record<string, Json> & { graph: { nodes: Record<string, Json>[]; scopes: Json; roots: Json } }) => unknown,
): Promise<Uint8Array> {
  await small().save(path)
  const { tensors, metadata } = await readSafetensors(path)
  const description = JSON.parse(metadata[MODEL_ENTRY])
  const result = change(description)
  await writeSafetensors(path, tensors, { [MODEL_ENTRY]: JSON.stringify(result ?? description) })
  return readFileSync(path)
}

describe('bad model files', () => {
  type Change = Parameters<typeof changed>[0]
  const node =
    (op: string, change: (node: Record<string, Json>) => void): Change =>
    ({ graph: { nodes } }) => {
      const found = nodes.find((each) => each.op === op)
      if (found === undefined) throw new Error(`no ${op}`)
      change(found)
    }
  const set = (op: string, members: Record<string, unknown>): Change => node(op, (each) => Object.assign(each, members))
  const attribute = (op: string, members: Record<string, unknown>): Change =>
    node(op, (each) => Object.assign(each.attributes as object, members))

  it.each<[string, Change, string[]]>([
    ['no object', () => [], ['the model: expected an object, got an array of 0']],
    [
      'a newer format',
      (d) => void Object.assign(d, { format: 2, thalweg: '9.0.0' }),
      ['format 1, got 2, made by thalweg 9.0.0; update thalweg'],
    ],
    ['a seed that is none', (d) => void Object.assign(d, { seed: -1 }), ['seed must be an integer of 0 …', 'got -1']],
    ['a step beyond int32', (d) => void Object.assign(d, { step: 2 ** 31 }), ['step must be an integer']],
    ['other inputs', (d) => void Object.assign(d, { inputs: ['x'] }), ['inputs: expected input_1', 'got "x"']],
    ['no inputs', (d) => void Object.assign(d, { inputs: [], outputs: [] }), ['is not among the inputs']],
    ['a frozen stranger', (d) => void Object.assign(d, { frozen: ['a'] }), ['frozen: the model has no parameter "a"']],
    ['no graph', (d) => void Object.assign(d, { graph: null }), ['the graph: expected an object, got null']],
    ['roots beyond', (d) => void Object.assign(d.graph, { roots: [99] }), ['roots: expected the number of an earlier node, got 99']],
    ['a layer without kind', (d) => void Object.assign(d.graph, { scopes: [{}] }), ['scope 0 must have a kind']],
    ['no node', (d) => void d.graph.nodes.splice(1, 1, null as never), ['node 1: expected an object, got null']],
    ['an unknown op', set('tanh', { op: 'tahn' }), ['(tahn)', 'has no such op', '"tanh"', 'update thalweg']],
    ['an op of Object', set('tanh', { op: 'constructor' }), ['(constructor)', 'no such op']],
    ['itself as input', set('tanh', { inputs: [5] }), ['(tanh): expected the number of an earlier node, got 5']],
    ['half an input', set('tanh', { inputs: [0.5] }), ['got 0.5']],
    ['no inputs of an op', set('tanh', { inputs: [] }), ['(tanh): expected 1 input, got 0']],
    ['a layer beyond', set('tanh', { scope: 9 }), ['scope must be the number of one of 3, got 9']],
    ['an unknown phase', set('tanh', { phase: 'later' }), ['phase must be "forward", "backward" or "update", got "later"']],
    ['another shape', set('tanh', { shape: [3] }), ['(tanh): the file says "float32" [3], but the op gives float32 [batch, 4]']],
    ['another dtype', set('tanh', { dtype: 'int32' }), ['the file says "int32"']],
    ['shapes that do not fit', set('matmul', { inputs: [1, 1] }), ['(matmul): matmul (layer "hidden"): the last dimension of a']],
    ['a strange attribute', attribute('matmul', { alpha: 2 }), ['expected the attributes transposeA', '"alpha" is to blame']],
    ['a missing attribute', attribute('matmul', { bias: undefined }), ['"bias" is to blame']],
    ['an attribute of another type', attribute('matmul', { transposeA: 1 }), ['"transposeA" must be such as false, got 1']],
    ['steps', attribute('matmul', { steps: ['tanh 0'] }), ['"steps" must be such as []']],
    ['a strange number', attribute('matmul', { transposeA: { $number: '7' } }), ['$number must be']],
    ['a strange batch', attribute('input', { shape: [{ $batch: 0 }, 2] }), ['$batch must be an integer of at least 1, got 0']],
    ['a nest', attribute('matmul', { steps: [[[[[[[[]]]]]]]] }), ['nested more than']],
    ['an input without batch', attribute('input', { shape: [2] }), ['the shape of an input must be the batch and then numbers, got [2]']],
    ['an input of text', attribute('input', { dtype: 'string' }), ['dtype must be "float32" or "int32", got "string"']],
    ['a variable of no size', attribute('variable', { shape: [-1] }), ['"shape" must be such as [1]']],
    ['a variable of another block', attribute('variable', { block: 'workspace' }), ['block must be "parameters" or "state"']],
    ['a variable with a batch', attribute('variable', { shape: [{ $batch: 1 }] }), ['without open dimensions']],
    ['a strange global', attribute('variable', { global: 'time' }), ['global must be seed or step, got "time"']],
    ['an unknown initializer', attribute('variable', { initialize: { name: 'eval', arguments: [] } }), ['Unknown initializer "eval"']],
    ['an initializer of Object', attribute('variable', { initialize: { name: '__proto__', arguments: [] } }), ['Unknown initializer']],
    [
      'a bad initializer',
      attribute('variable', { initialize: { name: 'constantOf', arguments: ['x'] } }),
      ['constantOf: value must be a finite number'],
    ],
    ['a function that is none', attribute('variable', { regularize: 3 }), ['regularize: expected an object, got 3']],
    [
      'a function with a variable of its own',
      node('variable', (each) => Object.assign(each.attributes as object, { regularize: { nodes: [structuredClone(each)], result: 8 } })),
      ['has no variables and inputs of its own'],
    ],
    [
      'a function without result',
      attribute('variable', { constrain: { nodes: [], result: 99 } }),
      ['constrain: expected the number of an earlier node, got 99'],
    ],
    [
      'a parameter of another name',
      attribute('variable', { name: 'weights' }),
      ['has a variable "hidden.weights", but the file has no tensor of that name'],
    ],
    [
      'a huge parameter',
      ({ graph: { nodes } }) => {
        for (const each of nodes.filter(({ op }) => op === 'variable').slice(0, 1)) {
          Object.assign(each.attributes as object, { shape: [2, 1e12] })
          each.shape = [2, 1e12]
        }
      },
      ['(matmul)'],
    ],
  ])('%s', async (_, change, parts) => {
    await expectRefusal(async () => loadModel(await changed(change)), 'ERR_DATA', 'loadModel: the bytes given', ...parts)
  })

  it('a file without a model, or with another tensor', async () => {
    await writeSafetensors(path, small().weights())
    await expectRefusal(() => loadModel(path), 'ERR_DATA', path, 'got 4 tensors without a model', 'setWeights(await loadWeights(path))')
    await small().save(path)
    const { tensors, metadata } = await readSafetensors(path)
    const bias = new NdArray(Float64Array.of(1, 2, 3, 4), [4])
    await writeSafetensors(path, { ...tensors, 'hidden.bias': bias }, metadata)
    await expectRefusal(() => loadModel(path), 'ERR_DATA', 'tensor "hidden.bias" must be F32 of shape [4]', 'got F64 [4]')
    await writeSafetensors(path, tensors, { [MODEL_ENTRY]: '{' })
    await expectRefusal(() => loadModel(path), 'ERR_DATA', 'is not JSON', 'damaged')
  })

  it('options that are wrong are no fault of the file', async () => {
    await small().save(path)
    // @ts-expect-error
    await expectRefusal(() => loadModel(path, { executor: 'gpu' }), 'ERR_OPTION', 'loadModel: executor must be', 'got "gpu"')
    // @ts-expect-error
    await expectRefusal(() => loadModel(path, { seed: 1 }), 'ERR_OPTION', 'Unknown option "seed"')
  })

  it('any description that was changed at random is refused, or makes a model that predicts', { timeout: 60_000 }, async () => {
    const files = await Promise.all(
      Object.values(cases).map(async ({ make, data }, i) => {
        const file = join(folder, `case-${i}`)
        await make().save(file)
        const { metadata } = await readSafetensors(file)
        return { weights: await loadWeights(file), description: metadata[MODEL_ENTRY], x: data.x }
      }),
    )
    const leaf = fc.constantFrom<unknown>(
      0,
      1,
      -1,
      2,
      3,
      7,
      0.5,
      1e9,
      2 ** 53,
      null,
      true,
      '',
      'x',
      'seed',
      [],
      {},
      [0],
      [1, 1],
      { $batch: 2 },
      { $number: 'NaN' },
    )
    const seen = { refused: 0, made: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(), leaf), { minLength: 1, maxLength: 3 }),
        async (file, edits) => {
          const description = JSON.parse(file.description)
          for (const [where, value] of edits) setPlace(description, where, structuredClone(value))
          const tensors = Object.fromEntries(Object.entries(file.weights))
          await writeSafetensors(path, tensors, { [MODEL_ENTRY]: JSON.stringify(description) })
          let net: Model
          try {
            net = await loadModel(path)
            await net.predictAll(file.x)
            seen.made++
          } catch (error) {
            if (!(error instanceof ThalwegError) || error.code === 'ERR_ASSERTION') throw error
            seen.refused++
          }
        },
      ),
      { numRuns: 300 },
    )
    expect(seen.refused).toBeGreaterThan(100)
    expect(seen.made).toBeGreaterThan(0)
  })
})

/** Puts a value at one of the places of nested objects and arrays. */
function setPlace(root: object, number: number, value: unknown): void {
  const places: [object, string][] = []
  const visit = (each: unknown) => {
    if (typeof each !== 'object' || each === null) return
    for (const [name, member] of Object.entries(each)) {
      places.push([each, name])
      visit(member)
    }
  }
  visit(root)
  const [owner, name] = places[number % places.length]
  Object.assign(owner, { [name]: value })
}
