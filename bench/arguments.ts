/** Numbers on a command line. */

export function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${option}: expected a number above 0, got "${text}".`)
  return value
}

export function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${option}: expected an integer of at least 1, got "${text}".`)
  return value
}
