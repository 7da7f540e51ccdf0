/**
 * A service under load on loopback: answers a second, and how long they took, with requests joined to batches and without.
 *
 *     npx tsx bench/serving/requests.ts [--connections 64] [--seconds 4] [--latency 0]
 *
 * The load comes from this process (autocannon), the answers from another one, service.ts.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { positive, readArguments, wholeNumber } from '../arguments.ts'

const COMMAND = 'npx tsx bench/serving/requests.ts'
const HELP = `Answers a second of a service, and their latency, with requests joined to batches and without.

  ${COMMAND} [options]

  --connections N    requests at once; default 64
  --seconds S        of each measurement; default 4
  --latency MS       the predictor's maxLatency; default 0`

const NETWORKS = [
  [16, 64, 1],
  [32, 1024, 1024, 10],
]
const WAYS = { '/predict': 'predictor: joined to batches', '/predict-alone': 'await predict(row)', '/predict-sync': 'predictSync(row)' }

function parse() {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '64' },
      seconds: { type: 'string', default: '4' },
      latency: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  return {
    connections: wholeNumber('connections', values.connections),
    seconds: positive('seconds', values.seconds),
    maxLatency: values.latency === '0' ? 0 : positive('latency', values.latency),
  }
}

const { connections, seconds, maxLatency } = readArguments(COMMAND, HELP, parse)

async function start(network: readonly number[]): Promise<{ server: ChildProcess; url: string }> {
  const server = fork(new URL('./service.ts', import.meta.url), [JSON.stringify({ network, maxLatency })], {
    execArgv: ['--import', 'tsx'],
  })
  const [url] = await once(server, 'message')
  return { server, url: url as string }
}

for (const network of NETWORKS) {
  const { server, url } = await start(network)
  console.log(`${network.join('-')}, ${connections} connections`)
  const body = JSON.stringify(Array.from({ length: network[0] }, (_, i) => Number(Math.sin(i).toFixed(4))))
  const load = async (path: string, duration: number) => {
    const result = await autocannon({
      url: url + path,
      connections,
      duration,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    // What was asked last is still being predicted.
    await wait(500)
    return result
  }
  for (const [path, name] of Object.entries(WAYS)) {
    await load(path, 1)
    const { '2xx': answers, non2xx, errors, duration, latency } = await load(path, seconds)
    const rate = Math.round(answers / duration).toLocaleString('en-US')
    const { p50, p99, max } = latency
    const bad = non2xx + errors === 0 ? '' : `   ${non2xx} refused, ${errors} errors`
    console.log(`  ${name.padEnd(30)} ${rate.padStart(7)} answers/s   latency ms: median ${p50}, p99 ${p99}, max ${max}${bad}`)
  }
  server.disconnect()
  await once(server, 'exit')
}
