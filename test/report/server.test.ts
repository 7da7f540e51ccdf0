/** The served report: to this machine alone, whole states, bounded waiting, a clean end. And what the page's file says. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { FileError, liveReport, OptionError, type ReportServer, serveReport, writeReport } from '../../src/index.ts'

const servers: ReportServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function serve(data = { title: 'Test' }): Promise<ReportServer> {
  const server = await serveReport(data)
  servers.push(server)
  return server
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function ask(url: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** The events of a server, as they come. */
function listen(server: ReportServer): Promise<{ events: string[]; ended: Promise<void>; leave: () => void }> {
  return new Promise((resolve, reject) => {
    const sent = get(`${server.url}events`, (response) => {
      const events: string[] = []
      let chunks: string[] = []
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        chunks.push(chunk)
        if (!chunk.endsWith('\n\n')) return
        events.push(...chunks.join('').split('\n\n').slice(0, -1))
        chunks = []
      })
      resolve({ events, ended: new Promise((end) => response.on('close', end)), leave: () => sent.destroy() })
    })
    sent.on('error', reject)
  })
}

const states = (events: readonly string[]) =>
  events.filter((event) => event.startsWith('data: ')).map((event) => JSON.parse(event.slice(6)) as Record<string, unknown>)

describe('serveReport', () => {
  it('gives the page at /, and nothing else', async () => {
    const server = await serve()
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    const page = await ask(server.url)
    expect(page.status).toBe(200)
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(page.headers['access-control-allow-origin']).toBeUndefined()
    expect(page.headers['cross-origin-resource-policy']).toBe('same-origin')
    expect(page.body).toContain('<html lang="en" data-live>')
    expect((await ask(`${server.url}favicon.ico`)).status).toBe(404)
    expect((await ask(`${server.url}../../etc/passwd`)).status).toBe(404)
    expect((await ask(server.url, { method: 'POST' })).status).toBe(405)
  })

  it('answers only to its own address, so that no other site can point a name at it', async () => {
    const server = await serve()
    const { port } = new URL(server.url)
    expect((await ask(server.url, { headers: { host: 'evil.example' } })).status).toBe(403)
    expect((await ask(`${server.url}events`, { headers: { host: `evil.example:${port}` } })).status).toBe(403)
    expect((await ask(server.url, { headers: { host: `localhost:${port}` } })).status).toBe(200)
  })

  it('sends the whole state first, then what changes, at most four times a second', async () => {
    const server = await serve()
    server.update({ task: 'binary' })
    const { events } = await listen(server)
    const begun = performance.now()
    for (let i = 0; i < 60; i++) {
      server.update({ warnings: [String(i)] })
      await sleep(10)
    }
    await sleep(400)
    const passed = (performance.now() - begun) / 250
    const [first, ...updates] = states(events)
    expect(events[0]).toBe('retry: 1000')
    expect(first).toEqual({ title: 'Test', task: 'binary' })
    expect(updates.length).toBeGreaterThanOrEqual(2)
    expect(updates.length).toBeLessThanOrEqual(passed + 1)
    expect(updates.every((update) => Object.keys(update).join() === 'warnings')).toBe(true)
    expect(updates[updates.length - 1]).toEqual({ warnings: ['59'] })
    expect(server.data).toEqual({ title: 'Test', task: 'binary', warnings: ['59'] })
  })

  it('gives who comes later, or again, the state as it is then, on the page too', async () => {
    const server = await serve()
    server.update({ warnings: ['late'] })
    const { events, leave } = await listen(server)
    await sleep(50)
    expect(states(events)).toEqual([{ title: 'Test', warnings: ['late'] }])
    leave()
    server.update({ warnings: undefined })
    const again = await listen(server)
    await sleep(50)
    expect(states(again.events)).toEqual([{ title: 'Test', warnings: null }])
    expect((await ask(server.url)).body).toContain('id="report-data">{"title":"Test"}</script>')
  })

  it('keeps one state, not all, for a page that does not read', async () => {
    const server = await serve()
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    await new Promise((resolve) => socket.once('readable', resolve))
    const large = 'x'.repeat(4e6)
    global.gc?.()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 8; i++) {
      server.update({ network: `${i}${large}` })
      await sleep(260)
    }
    // Eight would be 32 MB, and their copies as bytes.
    expect(process.memoryUsage().rss - before).toBeLessThan(60e6)
    let read = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      read += chunk
    })
    await sleep(700)
    const seen = [...read.matchAll(/"network":"(\d)x/g)].map(([, i]) => i)
    expect(seen.length).toBeLessThan(5)
    expect(seen[seen.length - 1]).toBe('7')
    socket.destroy()
  })

  it('ends with the last state and a word to stop asking, also while nobody reads', async () => {
    const server = await serve()
    const { events, ended } = await listen(server)
    const { hostname, port } = new URL(server.url)
    const deaf = connect(Number(port), hostname)
    deaf.on('error', () => {})
    deaf.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    await new Promise((resolve) => deaf.once('readable', resolve))
    server.update({ network: 'x'.repeat(2e7) })
    await sleep(300)
    server.update({ warnings: ['the last'] })
    const begun = performance.now()
    await Promise.all([server.close(), server.close()])
    expect(performance.now() - begun).toBeLessThan(3000)
    await ended
    expect(states(events).at(-1)).toEqual({ warnings: ['the last'] })
    expect(events.at(-1)).toBe('event: end\ndata: ')
    await expect(ask(server.url)).rejects.toThrow()
    // What comes after the end harms nobody.
    server.update({ warnings: [] })
  })

  it('refuses what it cannot do', async () => {
    const server = await serve()
    await expect(serveReport({ title: 'a' }, { port: Number(new URL(server.url).port) })).rejects.toThrow(
      /serveReport: port \d+ cannot be used: .*EADDRINUSE.* Try another, or 0/,
    )
    await expect(serveReport({ title: 'a' }, { port: 1.5 })).rejects.toThrow(OptionError)
    await expect(serveReport({ title: 'a' }, { host: '0.0.0.0' } as never)).rejects.toThrow(/for this machine alone/)
    await expect(serveReport({} as never)).rejects.toThrow(/needs a title/)
    expect(() => server.update({ titel: 'b' } as never)).toThrow(/Unknown part of a report "titel" for update; did you mean "title"\?/)
    expect(() => server.update({ configuration: { a: 1n } as never })).toThrow(/must be plain JSON/)
    expect(server.data).toEqual({ title: 'Test' })
    expect(() => server.update({ warnings: ['half'], configuration: { a: 1n } as never })).toThrow(/must be plain JSON/)
    const { events } = await listen(server)
    await sleep(50)
    expect(states(events)).toEqual([{ title: 'Test' }])
    expect(() => liveReport({} as never)).toThrow(/expected what serveReport gives/)
  })
})

describe('writeReport', () => {
  let folder = ''
  const path = (name: string) => join(folder, name)
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('writes one file that asks for nothing, with names that cannot leave their place', async () => {
    folder = mkdtempSync(join(tmpdir(), 'thalweg-report-'))
    const evil = '</script><!--<script>alert(1)'
    await writeReport(path('sub/report.html'), { title: evil, configuration: { [evil]: evil } })
    const html = readFileSync(path('sub/report.html'), 'utf8')
    expect(html.match(/<script/g)).toHaveLength(2)
    expect(html.match(/<\/script>/g)).toHaveLength(2)
    expect(html).not.toContain('<!--')
    expect(html.match(/(?:src|href)="(?!data:)[^"]*"/g)).toBeNull()
    expect(html.match(/https?:\/\/[^\s"'`]+/g)?.filter((url) => !/w3\.org|chartjs\.org|github\.com\/kurkle/.test(url)) ?? []).toEqual([])
    // It stays a page that can be mailed.
    expect(html.length).toBeLessThan(300_000)
  })

  it('leaves what was there when the data are no report, or the disk refuses', async () => {
    folder = mkdtempSync(join(tmpdir(), 'thalweg-report-'))
    writeFileSync(path('report.html'), 'before')
    await expect(writeReport(path('report.html'), { title: 'a', configuration: { a: 1n } as never })).rejects.toThrow(/must be plain JSON/)
    await expect(writeReport(path('report.html'), { title: 'a', task: 'regresion' } as never)).rejects.toThrow(
      /did you mean "regression"\?/,
    )
    await expect(writeReport(path('report.html/b.html'), { title: 'a' })).rejects.toThrow(FileError)
    await expect(writeReport('', { title: 'a' })).rejects.toThrow(OptionError)
    expect(readFileSync(path('report.html'), 'utf8')).toBe('before')
    expect(readdirSync(folder)).toEqual(['report.html'])
  })
})
