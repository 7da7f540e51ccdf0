import { describe, expect, it } from 'vitest'
import { reportResults } from '../../src/index.ts'
import { durationText, headline, metricText, numberText, percentText, roundText } from '../../src/report/page/words.ts'

/** With plain spaces. */
const plain = (text: string) => text.replaceAll('\u202f', ' ')

describe('numbers as one says them', () => {
  it.each([
    [0, '0'],
    [1234, '1234'],
    [12345, '12,345'],
    [12345.678, '12,346'],
    [0.123456, '0.1235'],
    [-3, '−3'],
    [0.00001, '1e-5'],
    [1.5e15, '1.5e15'],
    [215_245, '215,245'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('%s is %s', (value, text) => expect(numberText(value)).toBe(text))

  it('rounds, says shares and times', () => {
    expect(roundText(14_289.4)).toBe('14,300')
    expect([0.923, 0.5049, 0.0312, 1, 0.9997, 0.00001, 0, -0.2].map((share) => plain(percentText(share)))).toEqual([
      '92.3 %',
      '50 %',
      '3.1 %',
      '100 %',
      '100 %',
      '<0.1 %',
      '0 %',
      '−20 %',
    ])
    expect([0.042, 3.1, 59.6, 61, 125, 3725].map((seconds) => plain(durationText(seconds)))).toEqual([
      '0.042 s',
      '3.1 s',
      '60 s',
      '61 s',
      '2 min 5 s',
      '1 h 2 min',
    ])
    expect(['r2Score', 'balancedAccuracy', 'meanAbsoluteError', 'loss'].map(metricText)).toEqual([
      'R²',
      'Balanced accuracy',
      'Mean absolute error',
      'Loss',
    ])
  })
})

describe('headline', () => {
  const actual = Array.from({ length: 100 }, (_, i) => 1000 * i)
  const regression = (predicted: readonly number[]) =>
    headline({ title: '', task: 'regression', target: 'price', results: reportResults({ task: 'regression', predicted, actual }) }).map(
      plain,
    )

  it('says how much is explained, and how far off predictions are', () => {
    expect(regression(actual.map((value, i) => value + (i % 2 === 0 ? 1 : -1) * (i < 50 ? 2000 : 14_289)))).toEqual([
      'R² 0.88: the network explains 88 % of the differences in “price”, on 100 rows it has not seen.',
      'A prediction is off by 8140 on average; half are within 2000 of the truth, nine of ten within 14,300.',
    ])
  })

  it('says when it is worse than the mean, or when nothing differs', () => {
    expect(regression(actual.map((value) => -value))[0]).toMatch(/^R² −\d+.*: worse than always answering the mean of “price”\.$/)
    const same = reportResults({ task: 'regression', predicted: [1, 2], actual: [5, 5] })
    expect(headline({ title: '', task: 'regression', results: same })[0]).toBe(
      'The target is the same in all 2 rows, so that nothing can be said about differences.',
    )
  })

  it('says of classes how often it is right, beside who always says the same', () => {
    const predicted = actual.map((_, i) => (i % 4 === 0 ? 0.7 : 0.2) + (i === 1 ? 0.6 : 0))
    const results = reportResults({ task: 'binary', predicted, actual: actual.map((_, i) => Number(i % 4 === 0)), labels: ['ham', 'spam'] })
    expect(headline({ title: '', task: 'binary', results }).map(plain)).toEqual([
      'AUC 0.987: of one row that is “spam” and one that is “ham”, the network gives the first the higher probability in 98.7 % of cases.',
      'The network is right in 99 % of 100 rows it has not seen; always answering the most frequent class would be right in 75 %.',
    ])
    expect(headline({ title: '' })).toEqual([])
  })
})
