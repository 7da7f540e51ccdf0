/** Elements from data. Texts are set as texts, never as HTML: names of columns and labels may be anything. */

type Child = Node | string | null | undefined | false

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false))
  return made
}

/** A table in a box of its own, which scrolls where the page must not. Columns after the first are numbers if `numbers` says so. */
export function table(label: string, head: readonly string[], rows: readonly (readonly Child[])[], numbers = true): HTMLElement {
  const kind = numbers ? 'numbers' : 'texts'
  return scroll(
    label,
    element(
      'table',
      { class: kind },
      element('thead', {}, element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)))),
      element(
        'tbody',
        {},
        ...rows.map((cells) =>
          element('tr', {}, ...cells.map((cell, i) => (i === 0 ? element('th', { scope: 'row' }, cell) : element('td', {}, cell)))),
        ),
      ),
    ),
  )
}

/** A box that scrolls sideways, by keyboard too. */
export function scroll(label: string, ...children: Child[]): HTMLElement {
  return element('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: 0 }, ...children)
}

/** Makes these the children of an element, and leaves those that are there already where they are: a chart that is moved draws itself anew. */
export function show(parent: Element, children: readonly Node[]): void {
  const wanted = new Set(children)
  children.forEach((child, i) => {
    const current = parent.childNodes[i]
    if (current === child) return
    if (current === undefined || wanted.has(current)) parent.insertBefore(child, current ?? null)
    else parent.replaceChild(child, current)
  })
  while (parent.childNodes.length > children.length) parent.lastChild?.remove()
}

export const paragraph = (text: string) => element('p', {}, text)

/** The rows of a table that has to stay readable. */
export function few<T>(rows: readonly T[], most = 60): readonly T[] {
  if (rows.length <= most) return rows
  return Array.from({ length: most }, (_, i) => rows[Math.round((i * (rows.length - 1)) / (most - 1))])
}

/** The same grid at each call, so that its charts stay where they are. */
const grids = new Map<string, HTMLElement>()
export function grid(name: string, figures: readonly HTMLElement[]): HTMLElement {
  const found = grids.get(name) ?? element('div', { class: 'grid' })
  grids.set(name, found)
  if (figures.length !== found.children.length || figures.some((figure, i) => found.children[i] !== figure))
    found.replaceChildren(...figures)
  return found
}
