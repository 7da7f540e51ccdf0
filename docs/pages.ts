/** The API reference as Markdown: a page an area, and an index. The text is that of the docstrings (api.ts). */
import { type Entry, literalValue, type Member } from './api.ts'

/** The page of a source file; `*` stands for the name of the file (or folder) itself. The first that fits counts. */
const areas: readonly (readonly [RegExp, string])[] = [
  [/^src\/optim\/schedule/, 'schedules'],
  [/^src\/optim\//, 'optimizers'],
  [/^src\/(?:nn|optim)\/([^/.]+)/, '*'],
  [/^src\/ops\/elementwise\.ts$/, 'elementwise ops'],
  [/^src\/(ops|graph)\//, 'ops and tensors'],
  [/^src\/train\/(callbacks)/, '*'],
  [/^src\/train\/(?:modelRows|sharing)\.ts$/, 'prediction'],
  [/^src\/train\//, 'training'],
  [/^src\/data\/(schema|readers)\//, '*'],
  [/^src\/data\//, 'data'],
  [/^src\/(executors|plan)\//, 'plans and executors'],
  [/^src\/interchange\//, 'files'],
  [/^src\/predict\//, 'prediction'],
  [/^src\/tune\//, 'tuning'],
  [/^src\/report\//, 'reports'],
  [/^src\/([^/.]+)/, '*'],
]

/** The pages by file name, `README.md` the index. */
export function renderPages(entries: readonly Entry[]): Map<string, string> {
  const pages = new Map<string, Entry[]>()
  const parents = new Map<string, string>()
  for (const entry of entries) {
    const [parent] = entry.name.split('.')
    const title = parents.get(parent) ?? titleOf(entry.file)
    parents.set(parent, title)
    pages.set(title, [...(pages.get(title) ?? []), entry])
  }
  const sorted = [...pages].sort(([a], [b]) => (a < b ? -1 : 1)).map(([title, group]) => ({ title, group: typesLast(group) }))
  const links = new Map<string, string>()
  for (const { title, group } of sorted) {
    const used = new Map<string, number>([[anchor(title), 1]])
    for (const { name } of group) {
      const times = used.get(anchor(name)) ?? 0
      used.set(anchor(name), times + 1)
      links.set(name, `${fileOf(title)}#${anchor(name)}${times === 0 ? '' : `-${times}`}`)
    }
  }
  const write = new Writer(links, entries)
  const files = sorted.map(({ title, group }) => [fileOf(title), write.page(title, group)] as const)
  return new Map([['README.md', write.index(sorted)], ...files])
}

class Writer {
  private readonly links: ReadonlyMap<string, string>
  /** By the name of a type of options: the functions that take it, which show its table. */
  private readonly takers = new Map<string, string[]>()

  constructor(links: ReadonlyMap<string, string>, entries: readonly Entry[]) {
    this.links = links
    for (const { name, optionTypes } of entries)
      for (const type of optionTypes) this.takers.set(type, [...(this.takers.get(type) ?? []), name])
  }

  index(pages: readonly { readonly title: string; readonly group: readonly Entry[] }[]): string {
    const sections = pages.map(({ title, group }) => {
      const rows = group.map((entry) => {
        const isOwn = !entry.name.includes('.')
        return `| ${isOwn ? '' : '&emsp;'}${this.link(entry.name)} | ${cell(this.summary(entry))} |`
      })
      return [`## [${capital(title)}](${fileOf(title)})`, '', '| name | |', '|---|---|', ...rows].join('\n')
    })
    const remark = '`npm run docs` writes these pages from the docstrings in `src`, and the tests run every example.'
    const head = ['# API reference', remark, 'Everything that `thalweg` exports; in the examples all of it is imported.']
    return `${[...head, ...sections].join('\n\n')}\n`
  }

  page(title: string, group: readonly Entry[]): string {
    const contents = group.filter(({ name }) => !name.includes('.')).map(({ name }) => this.link(name))
    return `${[`# ${capital(title)}`, `[API reference](README.md)`, contents.join(' · '), ...group.map((entry) => this.entry(entry))].join('\n\n')}\n`
  }

  private entry(entry: Entry): string {
    const { name, file, code, parameters, returns, throws, examples, members } = entry
    const takers = this.takers.get(name) ?? []
    // What the docstring says of the options as a whole, the table says of each.
    const isTold = members.length > 0 && members.every((member) => member.text !== '' || member.default !== null)
    const heading = name.includes('.') ? '###' : '##'
    const parts = [`${heading} ${name}`, fenced(code.join('\n')), this.prose(lineStarts(entry.text), entry)]
    const rows = [
      ...parameters
        .filter(({ name }) => name !== 'options' || !isTold)
        .map((parameter) => `- \`${parameter.name}\`: ${this.prose(parameter.text, entry)}`),
      ...(returns === '' ? [] : [`- returns ${this.prose(returns, entry)}`]),
      ...throws.map((text) => `- throws ${this.prose(text, entry)}`),
    ]
    parts.push(rows.join('\n'))
    if (takers.length === 0) parts.push(this.table(entry, members))
    else parts.push(this.optionsOf(takers))
    if (examples.length > 0) parts.push(fenced(examples.join('\n')))
    if (!name.includes('.')) parts.push(`<sub>[${file}](../../${file})</sub>`)
    return parts.filter((part) => part !== '').join('\n\n')
  }

  private summary(entry: Entry): string {
    const takers = this.takers.get(entry.name) ?? []
    if (entry.text === '' && takers.length > 0) return this.optionsOf(takers)
    return this.prose(firstSentence(entry.text), entry)
  }

  private optionsOf(takers: readonly string[]): string {
    return `Options of ${takers.map((taker) => this.link(taker)).join(', ')}.`
  }

  private table(entry: Entry, members: readonly Member[]): string {
    if (members.length === 0) return ''
    const withDefaults = entry.kind === 'function' || entry.name.endsWith('Options') || members.some((member) => member.default !== null)
    const columns = entry.kind === 'function' ? 'option' : entry.kind === 'class' ? 'property' : 'member'
    // What must be given comes first; the rest in the order of declaration, which has what is inherited last.
    const sorted = withDefaults ? [...members].sort((a, b) => Number(a.optional) - Number(b.optional)) : members
    const rows = sorted.map((member) => {
      const inCode = entry.defaults.get(member.name)
      const stated = member.default ?? (literalValue(inCode) === null ? null : (inCode ?? null))
      const value = stated === null ? (member.optional ? '' : 'required') : code(stated)
      const name = member.optional && !withDefaults ? `${member.name}?` : member.name
      const cells = [`\`${name}\``, this.type(member.type), ...(withDefaults ? [value] : []), this.prose(member.text, entry)]
      return `| ${cells.map(cell).join(' | ')} |`
    })
    const header = [columns, 'type', ...(withDefaults ? ['default'] : []), '']
    return [`| ${header.join(' | ')} |`, `|${header.map(() => '---|').join('')}`, ...rows].join('\n')
  }

  /** A union of exported names with each a link; anything else as code. */
  private type(type: string): string {
    const parts = type.split(' | ')
    if (!parts.every((part) => /^[\w'".]+$/.test(part))) return `\`${type}\``
    return parts.map((part) => (this.links.has(part) ? this.link(part) : `\`${part}\``)).join(' or ')
  }

  /** Exported names in backticks become links, unless they are a parameter, an option or the name itself. */
  private prose(text: string, entry: Entry): string {
    const own = new Set([entry.name, ...entry.parameters.map(({ name }) => name), ...entry.members.map(({ name }) => name)])
    return text.replace(/(?<!\[)`([A-Za-z][\w.]*)`/g, (text, name) => (own.has(name) || !this.links.has(name) ? text : this.link(name)))
  }

  private link(name: string): string {
    return `[\`${name}\`](${this.links.get(name)})`
  }
}

function titleOf(file: string): string {
  for (const [pattern, title] of areas) {
    const found = pattern.exec(file)
    if (found !== null) return title === '*' ? found[1].replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : title
  }
  throw new Error(`${file} has no page: give it one in docs/pages.ts.`)
}

function typesLast(entries: readonly Entry[]): Entry[] {
  const isLast = ({ kind }: Entry) => kind === 'interface' || kind === 'type'
  return [...entries.filter((entry) => !isLast(entry)), ...entries.filter(isLast)]
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

function fileOf(title: string): string {
  return `${title.replaceAll(' ', '-')}.md`
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1)
}

function fenced(code: string): string {
  return code === '' ? '' : `\`\`\`ts\n${code}\n\`\`\``
}

function cell(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')
}

/** A default as code, if it is a literal. */
function code(text: string): string {
  return literalValue(text) === null ? text : `\`${text}\``
}

/** `[batch]: …` at the start of a line would define a link. */
function lineStarts(text: string): string {
  return text.replace(/^\[/gm, '\\[')
}

function firstSentence(text: string): string {
  const [paragraph] = text.split('\n\n')
  return (/^.*?(?<!\bal)[.:](?=\s+\S|$)/s.exec(paragraph)?.[0] ?? paragraph).replace(/:$/, '.')
}
