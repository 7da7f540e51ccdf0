/**
 * A service that predicts:
 *
 *     npx tsx examples/serve.ts net.safetensors --port 3000
 *     curl localhost:3000/predict -H 'content-type: application/json' -d '[5.1, 3.5, 1.4, 0.2]'
 *
 * The body is the numbers of one sample, for a model of several inputs an object of them by name. Requests that come at once are predicted together.
 * At SIGINT or SIGTERM it takes no new requests, answers those it has, and ends.
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import {
  BusyError,
  DataError,
  loadModel,
  type Model,
  NdArray,
  OptionError,
  type PredictorOptions,
  type RowFeatures,
  ShapeError,
} from '../src/index.ts'

/** POST /predict for a model. */
export function createService(net: Model, options: PredictorOptions = {}): FastifyInstance {
  const predictor = net.predictor<NdArray | Record<string, NdArray>>(options)
  const service = fastify()
  service.post<{ Body: RowFeatures }>('/predict', async ({ body }) => {
    const prediction = await predictor.predict(body)
    return prediction instanceof NdArray
      ? { prediction: prediction.toArray() }
      : { predictions: Object.fromEntries(Object.entries(prediction).map(([name, values]) => [name, values.toArray()])) }
  })
  service.setErrorHandler((error: FastifyError, _request, reply) => {
    const isTheirs = error instanceof DataError || error instanceof OptionError || error instanceof ShapeError
    if (error instanceof BusyError) reply.header('retry-after', 1)
    reply
      .code(error instanceof BusyError ? 503 : isTheirs ? 400 : (error.statusCode ?? 500))
      .send({ code: error.code, message: error.message })
  })
  // Runs when all requests have been answered.
  service.addHook('onClose', () => predictor.close())
  return service
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { port: { type: 'string', default: '3000' } } })
  if (positionals.length !== 1) throw new OptionError('Expected one model file: npx tsx examples/serve.ts net.safetensors --port 3000')
  const service = createService(await loadModel(positionals[0]))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => service.close())
  console.log(`${await service.listen({ port: Number(values.port) })}/predict`)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main()
