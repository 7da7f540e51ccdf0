/**
 * `npx tsx examples/gan.ts`: a generator learns to draw from eight Gaussians on a ring, against a judge. Wasserstein GAN with gradient penalty (Gulrajani et al. 2017,
 * arXiv:1704.00028, algorithm 1): the judge's slope between real and generated points is held near 1, so that its loss contains a gradient.
 */
import { pathToFileURL } from 'node:url'
import {
  adam,
  add,
  batch,
  customTraining,
  dense,
  executionInfo,
  gradients,
  input,
  mean,
  multiply,
  type NdArray,
  negate,
  randomNormal,
  randomUniform,
  sequential,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
} from '../src/index.ts'

const MODES = 8
const DEVIATION = 0.05
const NOISE = 4

const centres = Array.from({ length: MODES }, (_, i) => [Math.cos((2 * Math.PI * i) / MODES), Math.sin((2 * Math.PI * i) / MODES)])

/** Uniform numbers between 0 and 1, the same in every run: 32 bits of xorshift (Marsaglia 2003, "Xorshift RNGs"). */
function uniforms(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Points around all centres in turn. */
function ring(count: number): Float32Array {
  const uniform = uniforms(0x2545f491)
  const points = new Float32Array(2 * count)
  for (let i = 0; i < count; i++) {
    const length = DEVIATION * Math.sqrt(-2 * Math.log(uniform()))
    const angle = 2 * Math.PI * uniform()
    const [x, y] = centres[i % MODES]
    points.set([x + length * Math.cos(angle), y + length * Math.sin(angle)], 2 * i)
  }
  return points
}

/** (‖∇ judge‖ - 1)² at random points between real and generated ones, the mean over the batch (equation 3). */
function gradientPenalty(judge: (x: Tensor) => Tensor, real: Tensor, fake: Tensor): Tensor {
  const part = randomUniform([batch, 1])
  const between = add(multiply(part, real), multiply(subtract(1, part), fake))
  const [slope] = gradients(sum(judge(between)), [between])
  // The root's own slope is infinite at 0.
  const norm = sqrt(add(sum(square(slope), { axes: [1] }), 1e-12))
  return mean(square(subtract(norm, 1)))
}

export interface GanResult {
  /** Centres that have at least a quarter of their share of samples within three deviations. */
  readonly modes: number
  /** The share of samples within three deviations of a centre. */
  readonly good: number
  /** The mean distance of samples from the nearest centre. */
  readonly distance: number
  readonly seconds: number
}

function judged({ data }: NdArray): Omit<GanResult, 'seconds'> {
  const counts = new Array(MODES).fill(0)
  let total = 0
  const count = data.length / 2
  for (let i = 0; i < count; i++) {
    const distances = centres.map(([x, y]) => Math.hypot(data[2 * i] - x, data[2 * i + 1] - y))
    const nearest = Math.min(...distances)
    total += nearest
    if (nearest < 3 * DEVIATION) counts[distances.indexOf(nearest)]++
  }
  return {
    modes: counts.filter((hits) => hits >= count / MODES / 4).length,
    good: counts.reduce((sum, hits) => sum + hits, 0) / count,
    distance: total / count,
  }
}

/** Trains for a number of judge's steps, and looks at samples before and after. */
export async function trainGan(steps: number, options: { executor?: 'native' | 'reference'; onProgress?: (line: string) => void } = {}) {
  const { executor, onProgress } = options
  const hidden = (name: string) => dense(64, { activation: 'relu', name })
  const generator = sequential([input(NOISE), hidden('first'), hidden('second'), dense(2)], { executor, seed: 1 })
  const judge = sequential([input(2), hidden('first'), hidden('second'), dense(1)], { executor, seed: 2 })

  const real = input(2)
  const fake = generator.apply(randomNormal([batch, NOISE]))
  const distance = subtract(mean(judge.apply(real)), mean(judge.apply(fake)))
  const optimizer = () => adam({ learningRate: 1e-3, beta1: 0.5, beta2: 0.9 })
  const training = customTraining({
    models: { generator, judge },
    inputs: { real },
    minimize: [
      {
        loss: subtract(
          multiply(
            0.1,
            gradientPenalty((x) => judge.apply(x), real, fake),
          ),
          distance,
        ),
        parameters: judge,
        optimizer: optimizer(),
      },
      { loss: negate(mean(judge.apply(fake))), parameters: generator, optimizer: optimizer(), every: 5 },
    ],
    report: { distance },
  })

  const uniform = uniforms(0x9e3779b9)
  const noise = new Float32Array(2000 * NOISE).map(() => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
  const before = judged(await generator.predict(noise))
  const batchSize = 128
  const started = performance.now()
  await training.fit(
    { real: ring(100 * batchSize) },
    {
      epochs: Math.ceil(steps / 100),
      batchSize,
      onEpochEnd: (epoch, { distance: wasserstein }) => {
        if ((epoch + 1) % 50 === 0)
          onProgress?.(`${(epoch + 1) * 100} steps: distance of the distributions about ${wasserstein.toFixed(3)}`)
      },
    },
  )
  const seconds = (performance.now() - started) / 1000
  const after: GanResult = { ...judged(await generator.predict(noise)), seconds }
  return { before, after }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { before, after } = await trainGan(executionInfo().native ? 40000 : 600, { onProgress: console.log })
  const show = ({ modes, good, distance }: Omit<GanResult, 'seconds'>) =>
    `${modes} of ${MODES} modes, ${(100 * good).toFixed(1)} % good samples, ${distance.toFixed(3)} from the nearest centre`
  console.log(`untrained: ${show(before)}\ntrained:   ${show(after)}, in ${after.seconds.toFixed(1)} s`)
}
