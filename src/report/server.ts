import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkInteger, checkOptions } from '../checks.ts'
import { OptionError } from '../errors.ts'
import { checkReport, checkWholeReport, renderReport, reportText } from './html.ts'
import type { ReportData } from './reportData.ts'

/** Options of `serveReport`. @example const server = await serveReport({ title: 'Lines' }, { port: 0 } satisfies ServeReportOptions); await server.close() */
export interface ServeReportOptions {
  /** The port on 127.0.0.1; default 0: one that is free. */
  readonly port?: number
}

/** A report that is served while it grows. @example const server: ReportServer = await serveReport({ title: 'Lines' }); await server.close() */
export interface ReportServer {
  /** Where to look at it. */
  readonly url: string
  /** The report as it is now. */
  readonly data: ReportData
  /** Puts parts in place of those of before, as `{ ...data, ...parts }` does. Pages that are open show them within a quarter of a second. */
  update(parts: Partial<ReportData>): void
  /** Shows the last of it on pages that are open, which keep it, and ends. */
  close(): Promise<void>
}

/** No more than four updates a second. */
const MILLISECONDS_BETWEEN_UPDATES = 250
const MILLISECONDS_BETWEEN_HEARTBEATS = 10_000
/** A page that takes nothing for so long is left to itself; it connects again when it can. */
const MILLISECONDS_OF_PATIENCE = 30_000

/**
 * Serves a report on 127.0.0.1 while it grows: open pages follow it by server-sent events. The page is the same as that of `writeReport`. Other
 * machines cannot reach it, and pages of other sites cannot read it. The process does not end before `close`.
 *
 * @param data What it says at first; only `title` is needed.
 * @param options `port` 0.
 * @throws OptionError for what is no report, or a port that is taken or not allowed.
 * @example const server = await serveReport({ title: 'House prices' }); server.update({ warnings: ['Only 20 rows.'] }); await server.close()
 */
export async function serveReport(data: ReportData, options: ServeReportOptions = {}): Promise<ReportServer> {
  const where = 'serveReport'
  checkWholeReport(where, data)
  checkOptions(where, options, ['port'], {
    host: 'the page is for this machine alone, on 127.0.0.1; reach it from another through ssh -L.',
  })
  const { port = 0 } = options
  checkInteger(where, 'port', port, { least: 0, most: 65535 })
  let current = data
  // As texts, so that what its maker changes later stays out, and no update is written more than once.
  const texts = new Map<string, string>()
  const remember = (parts: Partial<ReportData>) => {
    const written = Object.entries(parts).map(([name, part]) => [name, reportText(where, part ?? null)] as const)
    for (const [name, text] of written) texts.set(name, text)
  }
  remember(data)
  await renderReport(where, current, true)
  const listeners = new Set<Listener>()

  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const refuse = (status: number, text: string) => response.writeHead(status, headers('text/plain')).end(text)
    // A page of another site that has made its name point to this machine (DNS rebinding) still sends that name.
    if (!hosts.has(request.headers.host ?? '')) return refuse(403, 'This server answers only to its own address.\n')
    if (request.method !== 'GET') return refuse(405, 'Only GET.\n')
    if (request.url === '/') return response.writeHead(200, headers('text/html')).end(await renderReport(where, current, true))
    if (request.url !== '/events') return refuse(404, 'There is only the report, at /.\n')
    const listener = new Listener(response, texts)
    listeners.add(listener)
    response.on('close', () => listeners.delete(listener))
  }
  const server = createServer((request, response) => {
    respond(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new OptionError(`${where}: port ${port} cannot be used: ${error.message}. Try another, or 0 for one that is free.`, {
          cause: error,
        }),
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: chosen } = server.address() as AddressInfo
  const hosts = new Set([`127.0.0.1:${chosen}`, `localhost:${chosen}`])

  let timer: NodeJS.Timeout | null = null
  const heartbeat = setInterval(() => {
    for (const listener of listeners) listener.beat()
  }, MILLISECONDS_BETWEEN_HEARTBEATS)
  heartbeat.unref()
  const flush = () => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    for (const listener of listeners) listener.send()
  }
  let closing: Promise<void> | null = null
  return {
    url: `http://127.0.0.1:${chosen}/`,
    get data() {
      return current
    },
    update(parts) {
      checkReport('update', parts)
      remember(parts)
      current = { ...current, ...parts }
      for (const listener of listeners) listener.add(Object.keys(parts))
      if (closing === null) timer ??= setTimeout(flush, MILLISECONDS_BETWEEN_UPDATES)
    },
    close() {
      closing ??= (async () => {
        clearInterval(heartbeat)
        flush()
        await Promise.all(Array.from(listeners, (listener) => listener.end()))
        await new Promise((resolve) => {
          server.close(resolve)
          server.closeAllConnections()
        })
      })()
      return closing
    },
  }
}

function headers(type: string): Record<string, string> {
  return {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': "frame-ancestors 'none'",
  }
}

/**
 * A page that listens. It is sent one message at a time; what changes until it has taken that goes into the next one, as it is by then. So a slow page
 * sees fewer states, never old ones, and what waits for it is bounded.
 */
class Listener {
  private readonly response: ServerResponse
  private readonly texts: ReadonlyMap<string, string>
  private readonly changed = new Set<string>()
  private isFree = true
  private since = performance.now()

  constructor(response: ServerResponse, texts: ReadonlyMap<string, string>) {
    this.response = response
    this.texts = texts
    response.on('drain', () => {
      this.isFree = true
      this.since = performance.now()
      this.send()
    })
    response.writeHead(200, headers('text/event-stream'))
    this.write('retry: 1000\n\n')
    this.add([...texts.keys()])
    this.send()
  }

  add(parts: readonly string[]): void {
    for (const part of parts) this.changed.add(part)
  }

  send(): void {
    if (!this.isFree || this.changed.size === 0) return
    const parts = Array.from(this.changed, (name) => `${JSON.stringify(name)}:${this.texts.get(name)}`)
    this.changed.clear()
    this.write(`data: {${parts.join()}}\n\n`)
  }

  beat(): void {
    if (this.isFree) this.write(': still here\n\n')
    else if (performance.now() - this.since > MILLISECONDS_OF_PATIENCE) this.response.destroy()
  }

  /** Tells the page that no more comes; after a second whatever it has taken by then must do. */
  async end(): Promise<void> {
    this.isFree = true
    this.send()
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 1000).unref()
      this.response.end('event: end\ndata: \n\n', () => resolve())
    })
  }

  private write(text: string): void {
    this.isFree = this.response.write(text)
    if (this.isFree) this.since = performance.now()
  }
}
