/** What fields stand for. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dateOf, Missing, numberOf } from '../../../../src/data/schema/values.ts'

describe('numberOf', () => {
  it.each([
    ['12', 12],
    [' -1.5e3 ', -1500],
    ['+.5', 0.5],
    ['007', 7],
    [12n, 12],
    [true, 1],
  ])('%s is %s', (field, number) => expect(numberOf(field)).toBe(number))

  it.each([
    '',
    '  ',
    'abc',
    '1,234',
    '3,14',
    '0x1f',
    ' 0b11',
    '0o17',
    '12px',
    '\x1b[31m',
    '\0',
    ' \x075',
    'NaN',
    null,
    undefined,
    {},
    [1],
    new Date(),
  ])('%s is none', (field) => expect(numberOf(field)).toBeNaN())

  it('reads every number as it is written', () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => Object.is(numberOf(String(x)), Number(String(x)))))
  })
})

describe('dateOf', () => {
  it('reads what Date writes, and dates alone', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
        (date) => {
          expect(dateOf(date.toISOString())).toBe(date.getTime())
          expect(dateOf(date)).toBe(date.getTime())
          expect(dateOf(date.toISOString().slice(0, 10))).toBe(Math.floor(date.getTime() / 864e5) * 864e5)
        },
      ),
    )
  })

  it.each([
    ['2026-01', '2026-01-01T00:00:00Z'],
    ['2026-01-31 12:30', '2026-01-31T12:30:00Z'],
    ['2026-01-31T12:30:15.25+02:00', '2026-01-31T10:30:15.250Z'],
    ['2026-01-31T12:30-0530', '2026-01-31T18:00:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
  ])('%s is %s', (text, same) => expect(dateOf(text)).toBe(Date.parse(same)))

  it.each([
    '2026-02-29',
    '2026-13-01',
    '2026-00-01',
    '2026-01-32',
    '2026-01-31T24:00',
    '31.01.2026',
    '1/31/2026',
    '2026',
    '20260131',
    '',
    1.7e12,
    null,
  ])('%s is none', (text) => expect(dateOf(text)).toBeNaN())
})

it('Missing knows what is not there', () => {
  const missing = new Missing()
  expect([undefined, null, '', '  ', 'NA', ' N/A ', 'null'].map((value) => missing.has(value))).toEqual(Array(7).fill(true))
  expect([0, false, 'nan', 'None', Number.NaN, '0'].map((value) => missing.has(value))).toEqual(Array(6).fill(false))
  expect([-999, '-999', '?', Number.NaN, 'NA'].map((value) => new Missing([-999, '?', 'NaN']).has(value))).toEqual([
    true,
    true,
    true,
    true,
    false,
  ])
})
