import { checkBoolean, checkOptions, unknownName } from '../checks.ts'
import { flatten, NdArray, type NumbersLike } from '../data/ndarray.ts'
import { type Range, toRows } from '../data/rows.ts'
import { counted, DataError, OptionError } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import { chooseExecutor } from '../executors/index.ts'
import { concrete } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Loss, lossFor } from '../nn/losses/index.ts'
import { type Metric, type MetricName, metricFor, resultOf, statisticsOf } from '../nn/metrics/index.ts'
import { placeholder } from '../ops/source.ts'
import { buildPlan } from '../plan/build.ts'
import { VariableLayout } from '../plan/variables.ts'

const lossOfTask = {
  binary: 'binaryCrossentropy',
  categorical: 'categoricalCrossentropy',
  sparse: 'sparseCategoricalCrossentropy',
  regression: 'meanSquaredError',
} as const

/**
 * What `score` must know of the numbers.
 *
 * @example score('accuracy', [[2, 1], [0, 3]], [0, 0], { task: 'sparse' } satisfies ScoreOptions)
 */
export interface ScoreOptions {
  /**
   * What the numbers are. "regression": numbers; "binary": logits, and targets of 0 … 1; "categorical": rows of logits and one-hot targets;
   * "sparse": rows of logits and class numbers. Default "regression".
   */
  readonly task?: Loss['task']
  /**
   * Whether predictions are probabilities in place of logits: of 0 … 1, and rows with the sum 1. Where a logarithm is taken, 0 counts as the smallest number
   * above it. Default false.
   */
  readonly probabilities?: boolean
}

/**
 * Any metric on arrays, without a model: what `evaluate` would report for a model that predicts this.
 *
 * @param metric A name, or one with options: `metrics.fBeta({ beta: 2 })`.
 * @param prediction What a model predicts: [samples] or [samples, …]. For classification logits, as models here predict them, or with
 *   the option `probabilities` those.
 * @param target As many targets.
 * @throws OptionError if the metric does not fit the task; DataError if the numbers do not.
 * @example score('rocAuc', [0.3, -1.2, 2.5], [1, 0, 1], { task: 'binary' })
 * score('accuracy', [0.3, 0.1, 0.9], [0, 0, 1], { task: 'binary', probabilities: true })
 */
export function score(metric: MetricName | Metric, prediction: NumbersLike, target: NumbersLike, options: ScoreOptions = {}): number {
  checkOptions('score', options, ['task', 'probabilities'])
  const { task = 'regression', probabilities = false } = options
  if (!Object.hasOwn(lossOfTask, task)) throw unknownName('task', task, Object.keys(lossOfTask), 'score')
  checkBoolean('score', 'probabilities', probabilities)
  if (probabilities && task === 'regression')
    throw new OptionError(
      'score: probabilities are for a task of classification; say which: { task: "binary" }, "categorical" or "sparse".',
    )
  const chosen = metricFor('score', metric)
  const { shape } = flatten('score: prediction', prediction)
  const what = probabilities ? 'probabilities' : 'logits'
  const inRows = task === 'categorical' || task === 'sparse'
  if (inRows && shape === null)
    throw new OptionError(
      `score: rows of ${what} must be nested arrays or an NdArray, got a typed array; try new NdArray(${what}, [samples, classes]).`,
    )
  if (inRows && shape !== null && (shape.length < 2 || shape[shape.length - 1] < 2))
    throw new DataError(
      `score: for task "${task}" prediction must be rows of ${what}, one for each of at least 2 classes, got data of shape [${shape.join(', ')}]; for one number a sample use { task: "binary" }.`,
    )
  const loss = lossFor('score', lossOfTask[task])
  const given = probabilities ? logitsOf(prediction, inRows) : prediction
  const input = placeholder(shape === null ? [1] : shape.slice(1))
  const spec = loss.target(input)
  const truth = placeholder(spec.shape.slice(1), { dtype: spec.dtype })
  // Its advice is about losses and models.
  const range: Range = { ...loss.range(input), advice: undefined }
  const rows = [
    toRows('score', given, { name: 'prediction', shape: concrete(input.shape.slice(1)), dtype: 'float32' }, 'any'),
    toRows('score', target, { name: 'target', shape: concrete(truth.shape.slice(1)), dtype: spec.dtype, range }, 'any'),
  ]
  const [{ count }] = rows
  if (rows[1].count !== count)
    throw new DataError(`score: prediction has ${counted(count, 'sample')} and target has ${rows[1].count}; they must be equal.`)
  const statistics = statisticsFor(chosen, input, truth, loss)
  const plan = buildPlan({
    inputs: { input, truth },
    outputs: Object.fromEntries(statistics.map((tensor, i) => [`statistic${i}`, tensor])),
    variables: new VariableLayout([]),
    batchSize: count,
    mode: 'inference',
  })
  const session = chooseExecutor('score').load(plan, Arena.allocate(plan.blocks))
  const view = (id: number) => session.arena.view(plan.tensors[id])
  view(plan.inputs.input).set(rows[0].values)
  view(plan.inputs.truth).set(rows[1].values)
  session.execute(0, plan.instructions.length)
  return resultOf('score', chosen, [{ samples: count, values: Object.values(plan.outputs).map(view) }])
}

/** What a metric needs; one that the task has not is said to be of the task, for nobody here has given a loss. */
function statisticsFor(metric: Metric, input: Tensor, truth: Tensor, loss: Loss): readonly Tensor[] {
  try {
    return statisticsOf('score', metric, input, truth, loss)
  } catch (error) {
    if (!(error instanceof OptionError) || !error.message.includes(`loss "${loss.name}"`)) throw error
    const fitting =
      loss.task === 'regression'
        ? 'it is for classification: say which with { task: "binary" } (a logit for each target of 0 or 1), "categorical" (rows of logits and one-hot targets) or "sparse" (rows of logits and class numbers)'
        : loss.task === 'binary'
          ? 'for rows of logits use { task: "categorical" } or "sparse", for numbers "regression"'
          : 'for one logit a target use { task: "binary" }, for numbers "regression"'
    throw new OptionError(`score: metric "${metric.name}" does not fit task "${loss.task}"; ${fitting}.`)
  }
}

/** Logits that stand for the given probabilities: log(p / (1 - p)), or of rows log(p). Computed in double precision, so that those near 1 stay apart. */
function logitsOf(prediction: NumbersLike, inRows: boolean): NumbersLike {
  const { size, shape, read } = flatten('score: prediction', prediction)
  const values = new Float64Array(size)
  read(values as unknown as Float32Array)
  const width = inRows && shape !== null ? shape[shape.length - 1] : 1
  const advice = 'leave the option probabilities out if these are logits'
  const bad = values.findIndex((p) => !(p >= 0 && p <= 1))
  if (bad >= 0) throw new DataError(`score: prediction must be probabilities of 0 … 1, got ${values[bad]} at index ${bad}; ${advice}.`)
  for (let i = 0; inRows && i < size; i += width) {
    const total = values.subarray(i, i + width).reduce((a, b) => a + b, 0)
    if (Math.abs(total - 1) > 1e-3)
      throw new DataError(
        `score: rows of probabilities must have the sum 1, got ${Number(total.toPrecision(6))} in row ${i / width}; ${advice}.`,
      )
  }
  const log = (x: number) => Math.log(Math.max(x, Number.MIN_VALUE))
  const logits = Float32Array.from(values, (p) => log(p) - (inRows ? 0 : log(1 - p)))
  return shape === null ? logits : new NdArray(logits, shape)
}
