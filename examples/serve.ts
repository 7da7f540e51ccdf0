/**
 * A service that predicts:
 *
 *     npx tsx examples/serve.ts net.safetensors --port 3000
 *     curl localhost:3000/predict -H 'content-type: application/json' -d '[5.1, 3.5, 1.4, 0.2]'
 *
 * The body is the numbers of one sample, for a model of several inputs an object of them by name; for a model of rows (`thalweg train`) a row by column name. Requests that come at once are predicted together.
 * At SIGINT or SIGTERM it takes no new requests, answers those it has, and ends.
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import {
  BusyError,
  DataError,
  loadModel,
  loadTabular,
  Model,
  NdArray,
  OptionError,
  type PredictorOptions,
  type Row,
  type RowFeatures,
  readSafetensors,
  ShapeError,
  type TabularModel,
} from '../src/index.ts'

/** POST /predict for a model. */
export function createService(net: Model | TabularModel, options: PredictorOptions = {}): FastifyInstance {
  const predictor = net instanceof Model ? net.predictor<NdArray | Record<string, NdArray>>(options) : net.predictor(options)
  const service = fastify()
  service.post<{ Body: RowFeatures & Row }>('/predict', async ({ body }) => {
    const prediction: unknown = await predictor.predict(body)
    // Numbers of outputs become arrays; the answer to a row is JSON already.
    return { prediction: prediction instanceof NdArray ? prediction.toArray() : mapped(prediction as object) }
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

function mapped(prediction: object): object {
  return Object.fromEntries(Object.entries(prediction).map(([name, value]) => [name, value instanceof NdArray ? value.toArray() : value]))
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { port: { type: 'string', default: '3000' } } })
  if (positionals.length !== 1) throw new OptionError('Expected one model file: npx tsx examples/serve.ts net.safetensors --port 3000')
  const [path] = positionals
  const { metadata } = await readSafetensors(path)
  const service = createService('thalweg.schema' in metadata ? await loadTabular(path) : await loadModel(path))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => service.close())
  console.log(`${await service.listen({ port: Number(values.port) })}/predict`)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main()
