/** A real browser for pages, if there is one on this machine. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge']
const places = [
  ...(process.env.PATH ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))),
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
]

/** The browser's path: CHROME_PATH, or the first in the usual places; undefined if there is none. */
export const browserPath = [process.env.CHROME_PATH ?? '', ...places].find((place) => existsSync(place))

export function launchBrowser(): Promise<Browser> {
  return puppeteer.launch({
    executablePath: browserPath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** What went wrong on a page, and what it asked for beside itself. */
export interface Watched {
  readonly page: Page
  readonly problems: string[]
  readonly requests: string[]
}

export async function openPage(browser: Browser, url: string, width: number, scheme: 'light' | 'dark' = 'light'): Promise<Watched> {
  const page = await browser.newPage()
  const problems: string[] = []
  const requests: string[] = []
  page.on('console', (message) => problems.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('request', (request) => requests.push(request.url()))
  await page.setViewport({ width, height: 900 })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  // The connection of a live page stays open, so "networkidle" would never come.
  await page.goto(url, { waitUntil: 'load' })
  return { page, problems, requests }
}

/** How many canvases there are on the page, and how many of them show more than one colour. */
export function canvases(page: Page): Promise<{ all: number; drawn: number }> {
  return page.evaluate(`(() => {
    const all = [...document.querySelectorAll('canvas')]
    const drawn = all.filter((canvas) => {
      if (canvas.width === 0 || canvas.height === 0) return false
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      const colors = new Set(new Uint32Array(data.buffer))
      return colors.size > 8
    })
    return { all: all.length, drawn: drawn.length }
  })()`) as Promise<{ all: number; drawn: number }>
}
