/** The page in a real browser: nothing goes wrong, everything is drawn, nothing is loaded, nothing overflows, names are texts, a live one follows. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  dense,
  input,
  liveReport,
  type ReportData,
  recordTraining,
  reportResults,
  sequential,
  serveReport,
  summarizeData,
  writeReport,
} from '../../src/index.ts'
import { RandomStream } from '../../src/random.ts'
import { browserPath, canvases, launchBrowser, openPage } from './browser.ts'

const EVIL = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
const random = new RandomStream(3, 0)
const rows = Array.from({ length: 300 }, (_, i) => ({
  area: random.uniform() * 200,
  [EVIL]: ['red', EVIL, 'blue'][i % 3],
  rooms: i % 7 === 0 ? '' : i % 7,
}))
const base = { created: '2026-01-02T03:04:05Z', configuration: { seed: 0, [EVIL]: EVIL, shuffle: true }, warnings: [EVIL] }

async function parts(): Promise<Pick<ReportData, 'data' | 'training' | 'network'>> {
  const net = sequential([input(1), dense(4, { activation: 'tanh' }), dense(1)])
  const record = recordTraining({ rows: 240 })
  const x = rows.map(({ area }) => [area / 200])
  await net.fit(
    { x, y: x.map(([value]) => value ** 2) },
    { loss: 'meanSquaredError', metrics: ['meanAbsoluteError'], epochs: 6, validationSplit: 0.2, callbacks: [record] },
  )
  return { data: await summarizeData(rows), training: record.training, network: net.summary() }
}

const importance: ReportData['importance'] = {
  metric: 'r2Score',
  score: 0.9,
  columns: [EVIL, ...Array.from({ length: 20 }, (_, i) => `a_column_with_a_rather_long_name_${i}`)].map((name, i) => ({
    name,
    importance: 0.5 - 0.03 * i,
    spread: 0.01,
  })),
}

async function regression(): Promise<ReportData> {
  const actual = rows.map(({ area }) => area * 1000)
  const predicted = actual.map((value) => value + 5000 * random.normal())
  return {
    title: `Prices ${EVIL}`,
    task: 'regression',
    target: EVIL,
    ...base,
    ...(await parts()),
    importance,
    results: reportResults({ task: 'regression', predicted, actual }),
  }
}

async function binary(): Promise<ReportData> {
  const actual = rows.map((_, i) => Number(i % 4 === 0))
  const predicted = actual.map((label) => 1 / (1 + Math.exp(-(2 * label - 1 + random.normal()))))
  return {
    title: 'Leaving',
    task: 'binary',
    target: 'churn',
    ...base,
    ...(await parts()),
    importance,
    results: reportResults({ task: 'binary', predicted, actual, labels: ['stays', EVIL] }),
  }
}

async function classes(): Promise<ReportData> {
  const labels = ['setosa', EVIL, ...Array.from({ length: 20 }, (_, i) => `species number ${i}`)]
  const actual = rows.map((_, i) => i % labels.length)
  const predicted = actual.map((label) =>
    labels.map((_, k): number => (k === (random.uniform() < 0.8 ? label : (label + 1) % 3) ? 0.79 : 0.01)),
  )
  const sums = predicted.map((row) => row.reduce((a, b) => a + b))
  const shares = predicted.map((row, i) => row.map((value): number => value / sums[i]))
  return {
    title: 'Flowers',
    task: 'classes',
    ...base,
    ...(await parts()),
    results: reportResults({ task: 'classes', predicted: shares, actual, labels }),
  }
}

const reason = browserPath === undefined ? ' (skipped: no Chromium or Chrome found; set CHROME_PATH)' : ''

describe.skipIf(browserPath === undefined)(`the page in a browser${reason}`, () => {
  let browser: Browser
  let folder: string
  beforeAll(async () => {
    browser = await launchBrowser()
    folder = mkdtempSync(join(tmpdir(), 'thalweg-report-'))
  })
  afterAll(async () => {
    await browser?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const hacked = 'window.hacked ?? null'
  const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'

  describe.each([
    { name: 'regression', make: regression, charts: 6, says: /R² 0\.\d+: the network explains .* on 300 rows it has not seen/ },
    { name: 'binary', make: binary, charts: 8, says: /AUC 0\.\d+: of one row that is .* the higher probability in/ },
    { name: 'classes', make: classes, charts: 6, says: /The network is right in .* of 300 rows it has not seen; always answering/ },
  ])('of $name', ({ name, make, charts, says }) => {
    let url: string
    beforeAll(async () => {
      const path = join(folder, `${name}.html`)
      await writeReport(path, await make())
      url = pathToFileURL(path).href
    })

    it.each([
      [390, 'light'],
      [390, 'dark'],
      [1280, 'light'],
      [1280, 'dark'],
    ] as const)('at %i pixels, %s', async (width, scheme) => {
      const { page, problems, requests } = await openPage(browser, url, width, scheme)
      expect(await canvases(page)).toEqual({ all: charts, drawn: charts })
      expect(await page.evaluate(overflow)).toBe(0)
      expect(await page.evaluate('document.body.innerText')).toMatch(says)
      expect(await page.evaluate('document.body.innerText')).not.toMatch(/NaN|undefined|\[object/)
      expect(await page.evaluate(hacked)).toBeNull()
      expect(await page.evaluate('document.querySelectorAll("img").length')).toBe(0)
      expect(problems).toEqual([])
      expect(requests.filter((request) => !request.startsWith('data:'))).toEqual([url])
      await page.close()
    })

    it('has the numbers behind every chart, names for every chart and box, and headings in order', async () => {
      const { page, problems } = await openPage(browser, url, 1280)
      expect(await page.evaluate("[...document.querySelectorAll('canvas')].every((c) => c.getAttribute('aria-label').length > 40)")).toBe(
        true,
      )
      expect(
        await page.evaluate(
          "[...document.querySelectorAll('[role=region]')].every((e) => e.getAttribute('aria-label') && e.tabIndex === 0)",
        ),
      ).toBe(true)
      const levels = (await page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")) as number[]
      expect(levels.every((level, i) => level <= (levels[i - 1] ?? 0) + 1)).toBe(true)
      await page.evaluate("document.querySelectorAll('figure details').forEach((d) => { d.open = true })")
      await page.waitForFunction(`document.querySelectorAll('figure details table').length === ${charts}`, { timeout: 5000 })
      expect(await page.evaluate("Math.min(...[...document.querySelectorAll('figure table')].map((t) => t.rows.length))")).toBeGreaterThan(
        2,
      )
      expect(problems).toEqual([])
      await page.close()
    })
  })

  it('shows a title alone', async () => {
    const path = join(folder, 'empty.html')
    await writeReport(path, { title: 'Nothing yet' })
    const { page, problems } = await openPage(browser, pathToFileURL(path).href, 390)
    expect(await page.evaluate('document.body.innerText.trim()')).toBe('Nothing yet')
    expect(problems).toEqual([])
    await page.close()
  })

  it('lets no script run that is not its own', async () => {
    const path = join(folder, 'policy.html')
    await writeReport(path, { title: 'Policy' })
    expect(readFileSync(path, 'utf8')).toContain("default-src 'none'")
    const { page, problems } = await openPage(browser, pathToFileURL(path).href, 390)
    await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.hacked = 3' }))")
    expect(await page.evaluate(hacked)).toBeNull()
    expect(problems.join()).toContain('Content Security Policy')
    await page.close()
  })

  it('follows training while it goes on, and keeps its last state when the server has ended', async () => {
    const server = await serveReport({ title: 'Live', task: 'regression' })
    const { page, problems, requests } = await openPage(browser, server.url, 390)
    await page.waitForFunction("document.body.innerText.includes('Live: this page follows the training')", { timeout: 5000 })
    expect((await canvases(page)).all).toBe(0)
    const x = rows.map(({ area }) => [area / 200])
    const net = sequential([input(1), dense(4, { activation: 'tanh' }), dense(1)])
    const seen = page.waitForFunction(
      "/Training: \\d+ of 12 epochs done/.test(document.body.innerText) && document.querySelectorAll('canvas').length >= 2",
      {
        timeout: 20_000,
      },
    )
    let first = ''
    const wait = {
      onEpochEnd: async (epoch: number) => {
        if (epoch !== 3) return
        await seen
        await page.waitForSelector('progress')
        await page.evaluate("document.querySelector('figure canvas').dataset.kept = 'yes'")
        first = (await page.evaluate("document.querySelector('#training p').innerText")) as string
      },
    }
    await net.fit(
      { x, y: x.map(([value]) => value ** 2) },
      { loss: 'meanSquaredError', epochs: 12, validationSplit: 0.2, callbacks: [liveReport(server), wait] },
    )
    expect(first).toMatch(/Training: [1-4] of 12 epochs done/)
    const actual = rows.map(({ area }) => area)
    server.update({ target: 'area', results: reportResults({ task: 'regression', predicted: actual.map((value) => value + 1), actual }) })
    await server.close()
    await page.waitForFunction("document.body.innerText.includes('it has ended')", { timeout: 5000 })
    const text = (await page.evaluate('document.body.innerText')) as string
    expect(text).toContain('Trained for 12 epochs')
    expect(text).toContain('the network explains')
    expect(await page.evaluate("document.querySelector('progress')")).toBeNull()
    // The chart that was there has been drawn on, not made anew.
    expect(await page.evaluate("document.querySelector('figure canvas').dataset.kept")).toBe('yes')
    expect(await canvases(page)).toEqual({ all: 5, drawn: 5 })
    expect(await page.evaluate(overflow)).toBe(0)
    expect(requests.filter((request) => !request.startsWith('data:'))).toEqual([server.url, `${server.url}events`])
    expect(problems).toEqual([])
    await page.close()
  })

  it('redraws in the colours of the night', async () => {
    const path = join(folder, 'night.html')
    await writeReport(path, await regression())
    const { page, problems } = await openPage(browser, pathToFileURL(path).href, 1280)
    const picture = () => page.evaluate("document.querySelector('canvas').toDataURL()")
    const day = await picture()
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
    await page.waitForFunction(`document.querySelector('canvas').toDataURL() !== ${JSON.stringify(day)}`, { timeout: 5000 })
    expect(problems).toEqual([])
    await page.close()
  })
})
