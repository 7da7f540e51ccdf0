/** Statistics in one pass: right, and within the errors that are stated. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NumberCollector, type Scale, scalerFor, scales, signedExp, signedLog } from '../../../../src/data/schema/scaling.ts'
import { Frequencies, Moments, Quantiles } from '../../../../src/data/schema/statistics.ts'
import { Purpose, RandomStream } from '../../../../src/random.ts'

const finite = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true })

describe('Moments', () => {
  it('are those of two passes', () => {
    fc.assert(
      fc.property(fc.array(finite(1e6), { minLength: 2, maxLength: 50 }), (values) => {
        const moments = new Moments()
        for (const x of values) moments.add(x)
        const mean = values.reduce((sum, x) => sum + x, 0) / values.length
        const central = (power: number) => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / values.length
        expect(moments.mean).toBeCloseTo(mean, 5)
        expect(moments.deviation).toBeCloseTo(Math.sqrt(central(2)), 4)
        if (central(2) > 1e-3) expect(moments.skewness).toBeCloseTo(central(3) / central(2) ** 1.5, 3)
        // Adding 0 makes -0 of either side 0.
        expect([moments.min + 0, moments.max + 0]).toEqual([Math.min(...values) + 0, Math.max(...values) + 0])
      }),
    )
  })

  it('have a skew that is finite, whatever the unit', () => {
    const skewness = [1, 1e-60, 1e-110, 1e-150, 1e-300, 1e37].map((unit) => {
      const moments = new Moments()
      for (const x of [1, 2, 4, 9]) moments.add(x * unit)
      return moments.skewness
    })
    for (const x of skewness) expect([0.7684, 0]).toContain(Number(x.toFixed(4)))
    expect(skewness[0]).toBeCloseTo(0.7684, 4)
  })

  it('have no spread for a constant, however large', () => {
    const moments = new Moments()
    for (let i = 0; i < 1000; i++) moments.add(123456789.123)
    expect([moments.deviation, moments.skewness]).toEqual([0, 0])
  })
})

describe('Quantiles', () => {
  it('are exact for few numbers, as numpy.quantile has them', () => {
    const quantiles = new Quantiles()
    for (const x of [3, 1, 2, 10]) quantiles.add(x)
    expect(quantiles.at(4)).toEqual([1, 1.75, 2.5, 4.75, 10])
    expect(new Quantiles().at(4)).toEqual([])
  })

  it.each([
    ['in random order', (i: number, random: RandomStream) => random.uniform() * 2 ** 17 + i * 0],
    ['sorted', (i: number) => i],
    ['sorted backwards', (i: number) => -i],
    ['in waves', (i: number) => (i * 7919) % 10_007],
  ])('of many numbers %s stay within the error that is stated', (_, number) => {
    const [size, count] = [256, 50_000]
    const quantiles = new Quantiles(size)
    const random = new RandomStream(3, Purpose.sample)
    const values = Array.from({ length: count }, (_, i) => number(i, random))
    for (const x of values) quantiles.add(x)
    values.sort((a, b) => a - b)
    const bound = Math.log2(count / size) / size
    quantiles.at(64).forEach((x, part) => {
      const wanted = part / 64
      const [below, notAbove] = [values.findIndex((value) => value >= x), values.findLastIndex((value) => value <= x) + 1]
      const error = Math.max(0, below / count - wanted, wanted - notAbove / count)
      expect(error).toBeLessThanOrEqual(bound)
    })
  })
})

describe('Frequencies', () => {
  it('are exact within the capacity, the most frequent first', () => {
    const frequencies = new Frequencies()
    for (const text of ['b', 'a', 'c', 'b', 'c', 'b', 'd']) frequencies.add(text)
    expect(frequencies.most(3, 1)).toEqual([
      ['b', 3],
      ['c', 2],
      ['a', 1],
    ])
    expect(frequencies.most(9, 2).map(([text]) => text)).toEqual(['b', 'c'])
  })

  it('stay bounded and keep what is frequent', () => {
    const frequencies = new Frequencies(100)
    for (let i = 0; i < 20_000; i++) {
      frequencies.add(`rare ${i}`)
      if (i % 10 === 0) frequencies.add('common')
      expect(frequencies.size).toBeLessThanOrEqual(100)
    }
    const [[text, count]] = frequencies.most(1, 1)
    expect(text).toBe('common')
    expect(count).toBeGreaterThan(2000 - 22_000 / 50)
    expect(count).toBeLessThanOrEqual(2000)
  })
})

describe('scales', () => {
  const fitted = (values: readonly number[]) => {
    const collector = new NumberCollector()
    for (const x of values) collector.add(x)
    return collector.finish()
  }

  it('signedExp undoes signedLog', () => {
    fc.assert(fc.property(finite(1e9), (x) => Math.abs(signedExp(signedLog(x)) - x) <= 1e-9 * Math.abs(x)))
  })

  it.each(scales.filter((scale) => scale !== 'auto'))(
    '%s can be undone between the least and the largest',
    (scale: Exclude<Scale, 'auto'>) => {
      fc.assert(
        fc.property(fc.uniqueArray(fc.integer({ min: -1000, max: 100_000 }), { minLength: 2, maxLength: 40 }), (values) => {
          const { scale: scaled, unscale } = scalerFor(scale, fitted(values))
          for (const x of values) expect(Math.abs(unscale(scaled(x)) - x)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(x)))
        }),
      )
    },
  )

  it('bring numbers to the size they say', () => {
    const values = [1, 2, 3, 4, 100]
    const scaledBy = (scale: Exclude<Scale, 'auto'>) => values.map(scalerFor(scale, fitted(values)).scale)
    expect(scaledBy('minMax')).toEqual([0, 1 / 99, 2 / 99, 3 / 99, 1])
    expect(scaledBy('robust')).toEqual([-1, -0.5, 0, 0.5, 48.5])
    expect(scaledBy('standard').reduce((sum, x) => sum + x)).toBeCloseTo(0)
    expect(scaledBy('standard').reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(values.length)
    expect(scaledBy('quantile')[2]).toBeCloseTo(0)
    expect(scaledBy('none')).toEqual(values)
  })

  it('make nothing of a constant, so that no other value surprises the network', () => {
    for (const scale of scales) if (scale !== 'auto' && scale !== 'none') expect(scalerFor(scale, fitted([5, 5])).scale(7)).toBeCloseTo(0)
  })
})
