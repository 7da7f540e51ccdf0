/** examples/serve.ts: a service in this process, and the command in one of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { afterAll, describe, expect, it } from 'vitest'
import { createService } from '../../examples/serve.ts'
import { concatenate, dense, input, model, sequential } from '../../src/index.ts'
import { rows } from './support.ts'

const net = sequential([input(4), dense(6, { activation: 'relu' }), dense(2)], { seed: 2 })
const folder = mkdtempSync(join(tmpdir(), 'thalweg-serve-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function ask(service: FastifyInstance, payload: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const { statusCode, body } = await service.inject({ method: 'POST', url: '/predict', payload: payload as object })
  return { status: statusCode, body: JSON.parse(body) }
}

describe('the service', () => {
  it('answers concurrent requests, and bad ones among them, each for itself', async () => {
    const service = createService(net)
    const x = rows(100, 4)
    const expected = (await net.predict(x)).rows().map((row) => row.toArray() as number[])
    const answers = await Promise.all([...x.map((row) => ask(service, row)), ask(service, [1, 2]), ask(service, { input_9: [1, 2, 3, 4] })])
    expect(answers.map(({ status }) => status)).toEqual([...x.map(() => 200), 400, 400])
    x.forEach((_, i) => {
      const prediction = answers[i].body.prediction as number[]
      prediction.forEach((value, k) => expect(value).toBeCloseTo(expected[i][k], 5))
    })
    expect(answers[100].body).toMatchObject({ code: 'ERR_DATA', message: expect.stringContaining('expected 4 numbers') })
    expect(answers[101].body).toMatchObject({ code: 'ERR_OPTION' })
    await service.close()
  })

  it('says by name what a model of several outputs predicts', async () => {
    const [a, b] = [input(1, { name: 'a' }), input(1, { name: 'b' })]
    const both = concatenate([a, b])
    const service = createService(model([a, b], [dense(both, 1, { name: 'price' }), dense(both, 2, { name: 'kind' })]))
    const { status, body } = await ask(service, { a: 1, b: [2] })
    expect([status, body]).toEqual([200, { prediction: { price: [expect.any(Number)], kind: [expect.any(Number), expect.any(Number)] } }])
    await service.close()
  })

  it('is busy, and says so, when too many wait', async () => {
    const service = createService(net, { maxQueue: 1, maxLatency: 50 })
    const answers = await Promise.all(rows(5, 4).map((row) => ask(service, row)))
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    expect(answers.find(({ status }) => status === 503)?.body).toMatchObject({ code: 'ERR_BUSY' })
    await service.close()
  })

  it('runs from a model file, and ends when it is asked to', async () => {
    const file = join(folder, 'net.safetensors')
    await net.save(file)
    const script = fileURLToPath(new URL('../../examples/serve.ts', import.meta.url))
    const server = spawn(process.execPath, ['--import', 'tsx', script, file, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(server.stdout, 'data')
    const url = String(line).trim()
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[1, 2, 3, 4]' })
    const { prediction } = (await answer.json()) as { prediction: number[] }
    const [[expected]] = [(await net.predict([[1, 2, 3, 4]])).rows()]
    prediction.forEach((value, k) => expect(value).toBeCloseTo(expected.at(k), 5))
    server.kill('SIGTERM')
    expect(await once(server, 'exit')).toEqual([0, null])
    await expect(fetch(url, { method: 'POST' })).rejects.toThrow()
  })
})
