/** The server of requests.ts, in a process of its own: examples/serve.ts, and beside it the same without batching. Its argument: the layers' widths and the predictor's maxLatency. */
import { createService } from '../../examples/serve.ts'
import { dense, input, type Layer, sequential } from '../../src/index.ts'

const { network, maxLatency } = JSON.parse(process.argv[2]) as { readonly network: readonly number[]; readonly maxLatency: number }
const [features, ...widths] = network
const layers = widths.map((width, i): Layer => dense(width, { activation: i < widths.length - 1 ? 'relu' : 'linear' }))
const net = sequential([input(features), ...layers])
const service = createService(net, { maxLatency })
service.post<{ Body: number[] }>('/predict-alone', async ({ body }) => ({ prediction: (await net.predict([body])).rows()[0].toArray() }))
service.post<{ Body: number[] }>('/predict-sync', ({ body }, reply) => {
  reply.send({ prediction: net.predictSync([body]).rows()[0].toArray() })
})
process.send?.(await service.listen({ port: 0, host: '127.0.0.1' }))
process.once('disconnect', () => service.close())
