/** Names that JSON has twice in one object, of which JSON.parse would keep the last one. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g

/** @param text Valid JSON. @returns The first name that an object has twice, or null. */
export function duplicateKey(text: string): string | null {
  /** For each open object its names so far; null for an array. */
  const open: (Set<string> | null)[] = []
  let latest = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const name: string = JSON.parse(latest)
      const names = open[open.length - 1] as Set<string>
      if (names.has(name)) return name
      names.add(name)
    } else if (token !== ',') latest = token
  }
  return null
}
