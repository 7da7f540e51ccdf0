/** Changes at random, each a function of the stream alone. */
import type { RandomStream } from '../../src/random.ts'

export function pick<T>(random: RandomStream, from: readonly T[]): T {
  return from[random.below(from.length)]
}

/** What readers stumble over: ends of lines, quotes, delimiters, marks, numbers at the edge, keys that reach prototypes. */
const pieces = [
  ...['"', '""', ',', ';', '\t', '\n', '\r', '\r\n', '\0', '#', '{', '}', '[', ']', ':', '\\', "'", ' ', '\u2028', '\u{1f600}'],
  ...['NaN', 'Infinity', '1e999', '-0', '9007199254740993', 'null', '"__proto__":', '"constructor":{"prototype":1}', '\\u005f_proto__'],
].map((text) => Buffer.from(text))
const bytes = [
  ...pieces,
  ...[[0xff], [0xfe, 0xff], [0xff, 0xfe], [0xef, 0xbb, 0xbf], [0x80], [0xc3], [0x1f, 0x8b], [0xed, 0xa0, 0x80]].map((list) =>
    Buffer.from(list),
  ),
]

/** One change, now and then up to four, of some bytes. */
export function mutateBytes(random: RandomStream, original: Uint8Array, others: readonly Uint8Array[] = []): Buffer {
  let changed: Buffer = Buffer.from(original)
  for (let i = pick(random, [0, 0, 0, 1, 3]); i >= 0; i--) changed = mutateOnce(random, changed, others)
  return changed
}

function mutateOnce(random: RandomStream, given: Buffer, others: readonly Uint8Array[]): Buffer {
  const at = random.below(given.length + 1)
  const length = Math.min(given.length - at, 1 + random.below(pick(random, [2, 8, 300])))
  const splice = (removed: number, added: Uint8Array) => Buffer.concat([given.subarray(0, at), added, given.subarray(at + removed)])
  switch (random.below(8)) {
    case 0:
      if (at < given.length) given[at] ^= 1 << random.below(8)
      return given
    case 1:
      if (at < given.length) given[at] = random.below(256)
      return given
    case 2:
      return splice(length, Buffer.alloc(0))
    case 3:
      return splice(0, given.subarray(at, at + length))
    case 4:
      return splice(0, pick(random, bytes))
    case 5:
      return splice(length, pick(random, bytes))
    case 6:
      return given.subarray(0, at)
    default: {
      const other = others.length === 0 ? given : pick(random, others)
      const from = random.below(other.length + 1)
      return splice(length, other.subarray(from, from + length))
    }
  }
}

const leaves: readonly unknown[] = [
  ...[0, 1, -1, 2, 3, 7, 0.5, -0.5, 1e9, 2 ** 31, 2 ** 53, 1e300, null, true, false, '', 'x', 'seed', 'relu', 'float32', 'int32'],
  ...[
    [],
    {},
    [0],
    [1, 1],
    [[]],
    [null],
    { $batch: 2 },
    { $batch: 1e9 },
    { $number: 'NaN' },
    { $: '-0' },
    { constructor: { prototype: {} } },
  ],
  JSON.parse('{"__proto__": {"polluted": 1}}'),
]

/** A copy: what is changed later must not change other inputs. */
const aLeaf = (random: RandomStream) => structuredClone(pick(random, leaves))

/** One change, now and then up to four, of a tree: another value, one from elsewhere in it, a member more or less, a number near it. */
export function mutateJson(random: RandomStream, original: unknown): unknown {
  const root = { value: structuredClone(original) }
  for (let i = pick(random, [0, 0, 0, 1, 3]); i >= 0; i--) {
    const places = placesOf(root)
    const [owner, name] = pick(random, places)
    const value = owner[name]
    const put = (member: string, made: unknown) =>
      Object.defineProperty(owner, member, { value: made, writable: true, enumerable: true, configurable: true })
    switch (random.below(6)) {
      case 0:
        put(name, aLeaf(random))
        break
      case 1: {
        const [from, other] = pick(random, places)
        put(name, structuredClone(from[other]))
        break
      }
      case 2:
        if (Array.isArray(owner)) owner.splice(Number(name), 1)
        else if ((owner as object) !== root) delete owner[name]
        break
      case 3:
        if (Array.isArray(owner)) owner.push(structuredClone(value))
        else if ((owner as object) !== root)
          put(pick(random, ['__proto__', 'constructor', 'x', 'name', 'length', 'toString']), aLeaf(random))
        break
      case 4:
        if (typeof value === 'number') put(name, pick(random, [value + 1, value - 1, -value, value * 2, value / 3, value * 1e6]))
        else if (typeof value === 'string') put(name, pick(random, [`${value}x`, value.slice(1), value.toUpperCase(), value.repeat(2)]))
        else put(name, aLeaf(random))
        break
      default:
        if (typeof value === 'string') put(name, pick(random, strings(root)))
        else put(name, aLeaf(random))
    }
  }
  return root.value
}

type Owner = Record<string, unknown> & { splice(start: number, count: number): void; push(value: unknown): void }

function placesOf(root: object): [Owner, string][] {
  const places: [Owner, string][] = []
  const visit = (each: unknown) => {
    if (typeof each !== 'object' || each === null) return
    for (const [name, member] of Object.entries(each)) {
      places.push([each as Owner, name])
      visit(member)
    }
  }
  visit(root)
  return places
}

function strings(root: object): string[] {
  return [
    '',
    ...placesOf(root)
      .map(([owner, name]) => owner[name])
      .filter((value): value is string => typeof value === 'string'),
  ]
}
