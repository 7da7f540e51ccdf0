/** Names that JSON has twice in one object, of which JSON.parse would keep the last one. */

/** @param text Valid JSON. @returns The first name that an object has twice, or null. */
export function duplicateKey(text: string): string | null {
  /** For each open object its names so far; null for an array. */
  const open: (Set<string> | null)[] = []
  let latest = { start: 0, end: 0 }
  for (let i = 0; i < text.length; i++) {
    const token = text[i]
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token === '"') {
      latest = { start: i, end: endOfString(text, i) }
      i = latest.end - 1
    } else if (token === ':') {
      const name: string = JSON.parse(text.slice(latest.start, latest.end))
      const names = open[open.length - 1] as Set<string>
      if (names.has(name)) return name
      names.add(name)
    }
  }
  return null
}

/** Behind the closing quote. NOTE: not by a regular expression, which has no room for the steps of a string of megabytes. */
function endOfString(text: string, start: number): number {
  let i = start + 1
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i + 1
}
