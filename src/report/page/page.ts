/** The page of a report: draws its data, and in a live one what comes after them. */
import type { ReportData } from '../reportData.ts'
import { element, show } from './elements.ts'
import { Figure, type FigureContent } from './figure.ts'
import { sections } from './sections.ts'

const main = document.getElementById('report') as HTMLElement
const isLive = document.documentElement.hasAttribute('data-live')
let data = JSON.parse(document.getElementById('report-data')?.textContent ?? '{}') as ReportData

const title = element('h1')
const when = element('p', { class: 'when' })
const status = element('p', { class: 'status', role: 'status', hidden: '' })
const parts = sections.map((section) => ({
  ...section,
  heading: section.title === null ? null : element('h2', {}, section.title),
  element: element('section', { id: section.id }),
  figures: new Map<string, Figure>(),
}))
main.append(element('header', {}, title, when, status), ...parts.map((part) => part.element))

/** Draws what reads the parts of the report that have changed. */
function draw(changed: (part: keyof ReportData) => boolean): void {
  title.textContent = data.title
  document.title = data.title
  const { created, results } = data
  const made = created === undefined ? '' : new Date(created).toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short' })
  when.textContent = [made, results ? 'scores on rows held out of training' : ''].filter((text) => text !== '').join(' · ')
  for (const { reads, make, heading, element: parent, figures } of parts) {
    if (!reads.some(changed)) continue
    const figureOf = (name: string, content: FigureContent) => {
      const figure = figures.get(name) ?? new Figure()
      figures.set(name, figure)
      return figure.show(content)
    }
    const nodes = make(data, figureOf)
    parent.hidden = nodes.length === 0
    show(parent, [...(heading ? [heading] : []), ...nodes])
    for (const [name, figure] of figures) {
      if (parent.contains(figure.element)) figure.draw()
      else {
        figure.destroy()
        figures.delete(name)
      }
    }
  }
}

function drawAll(): void {
  draw(() => true)
}

drawAll()
document.fonts?.ready.then(() => document.documentElement.setAttribute('data-drawn', ''))
// The colours are read when a chart is drawn.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)

function say(text: string): void {
  status.hidden = text === ''
  if (status.textContent !== text) status.textContent = text
}

if (isLive) {
  const source = new EventSource('events')
  say('Live: this page follows the training.')
  source.addEventListener('open', () => say('Live: this page follows the training.'))
  source.addEventListener('message', ({ data: text }) => {
    const changes = JSON.parse(text) as Partial<ReportData>
    // Absent is null in JSON.
    const given = Object.fromEntries(Object.entries(changes).map(([name, part]) => [name, part ?? undefined]))
    data = { ...data, ...given }
    draw((part) => Object.hasOwn(changes, part))
  })
  source.addEventListener('end', () => {
    source.close()
    say('This was live; it has ended, and the page keeps what it shows.')
  })
  source.addEventListener('error', () => say('The connection to the training is lost; trying again.'))
}
