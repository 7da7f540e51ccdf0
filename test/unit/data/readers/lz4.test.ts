import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeLz4Block, decodeLz4Frame } from '../../../../src/data/readers/lz4.ts'

describe('decodeLz4Block', () => {
  it('repeats what was written, also what a match itself writes', () => {
    const output = new Uint8Array(30)
    // "abc", then 9 bytes from 3 before, then "z" without a match.
    const block = Buffer.from([0x35, ...Buffer.from('abc'), 3, 0, 0x10, ...Buffer.from('z')])
    expect(decodeLz4Block(block, output)).toBe(13)
    expect(Buffer.from(output.subarray(0, 13)).toString()).toBe('abcabcabcabcz')
  })

  it('refuses what points outside', () => {
    const refuses = (bytes: number[], size: number, message: RegExp) =>
      expect(() => decodeLz4Block(Uint8Array.from(bytes), new Uint8Array(size))).toThrow(message)
    refuses([0x30, 97, 98], 10, /ends within its literals/)
    refuses([0x30, 97, 98, 99], 2, /hold more/)
    refuses([0x10, 97, 2, 0], 10, /before the first byte/)
    refuses([0x10, 97, 0, 0], 10, /before the first byte/)
    refuses([0x10, 97, 1], 10, /ends within an offset/)
    refuses([0x1f, 97, 1, 0, 255], 1000, /ends within a length/)
    refuses([0x1f, 97, 1, 0, 200], 100, /hold more/)
  })
})

describe('decodeLz4Frame', () => {
  it('ends with an error or with bytes, whatever it is given', () => {
    const head = Buffer.from('04224d18607000', 'hex')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(decodeLz4Frame(Buffer.concat([head, bytes])).length).toBeLessThanOrEqual(255 * bytes.length)
        } catch (error) {
          expect((error as Error).message).toMatch(/^the LZ4 data are damaged/)
        }
      }),
      { numRuns: 5000 },
    )
  })

  it('refuses other versions, and dictionaries', () => {
    expect(() => decodeLz4Frame(Buffer.from('04224d18a0700000000000', 'hex'))).toThrow(/version 2/)
    expect(() => decodeLz4Frame(Buffer.from('04224d1861700000000000', 'hex'))).toThrow(/dictionary/)
    expect(() => decodeLz4Frame(Buffer.from('00224d1861700000000000', 'hex'))).toThrow(/do not begin/)
  })
})
