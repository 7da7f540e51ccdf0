/** A line of CSV (RFC 4180) without its end. What is no text, number or truth value is written as JSON, a date as ISO 8601, nothing as an empty field. */
export function csvLine(values: readonly unknown[], delimiter = ','): string {
  const line = values.map((value) => quoted(fieldOf(value), delimiter)).join(delimiter)
  // A blank line would be no record.
  return line === '' ? '""' : line
}

/** JSON of values that JSON has no word for too: big integers, typed arrays. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return Number.isSafeInteger(Number(part)) ? Number(part) : String(part)
    return ArrayBuffer.isView(part) ? Array.from(part as Float32Array) : part
  })
}

function fieldOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString()
  return typeof value === 'object' ? jsonText(value) : String(value)
}

function quoted(text: string, delimiter: string): string {
  return text.includes(delimiter) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
