import { expect, it } from 'vitest'
import { nearestName } from '../../src/checks.ts'

it('the nearest name is a slip of the hand away', () => {
  expect(nearestName('learningrate', ['epochs', 'learningRate'])).toBe('learningRate')
  expect(nearestName('lr', ['loss', 'learningRate'])).toBeNull()
  expect(nearestName('abcdef', ['abcdefg', 'abcdeg', 'xabcdef'])).toBe('abcdefg')
  expect(nearestName('x', ['y'])).toBeNull()
})

// Comparing two of them would take hours.
it('names of a megabyte have no nearest one, and are none', () => {
  const long = 'b'.repeat(2 ** 20)
  expect(nearestName(long, [`${long}c`, 'b'])).toBeNull()
  expect(nearestName('bb', [long, 'bc'])).toBe('bc')
})
