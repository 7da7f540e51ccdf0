/** Graphs as JSON: what comes back trains to the same bits, and what is wrong with a file is said. */
import { describe, expect, it } from 'vitest'
import { adam, type Model, printPlan } from '../../../src/index.ts'
import { stepVariable } from '../../../src/ops/random.ts'
import { modelFromDescription } from '../../../src/train/loadModel.ts'
import { describeModel, type ModelDescription } from '../../../src/train/modelFile.ts'
import { bitsOf, executors } from '../../training/support.ts'
import { cases } from './models.ts'

const copyOf = (net: Model): ModelDescription => JSON.parse(JSON.stringify(describeModel(net)))

describe.each(executors)('%s', (executor) => {
  it.each(Object.entries(cases))('%s: begins, trains and continues with the same bits', async (_, { make, data, loss }) => {
    const net = make({ executor })
    const copy = modelFromDescription(copyOf(net), { executor })
    expect(bitsOf(copy)).toEqual(bitsOf(net))
    expect([copy.summary(), copy.inputNames, copy.outputNames]).toEqual([net.summary(), net.inputNames, net.outputNames])
    const plan = (each: Model) => printPlan(each.trainingPlan(8, { loss, metrics: [] }))
    expect(plan(copy)).toBe(plan(net))
    const options = () => ({ loss, epochs: 2, batchSize: 8, optimizer: adam() })
    const history = await net.fit(data, options())
    expect(await copy.fit(data, options())).toEqual(history)
    expect(bitsOf(copy)).toEqual(bitsOf(net))
    // In mid-life: the noise of the steps that follow is that of the model that went on.
    const later = modelFromDescription(copyOf(net), { executor, memory: net.memory })
    expect(later.values(stepVariable)[0]).toBe(net.values(stepVariable)[0])
    expect(later.values(stepVariable)[0]).toBeGreaterThan(0)
    expect(await later.predictAll(data.x)).toEqual(await net.predictAll(data.x))
    expect(describeModel(copy)).toEqual(describeModel(net))
  })
})
