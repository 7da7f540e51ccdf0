import { flatten, type NumbersLike } from '../data/ndarray.ts'
import { type Range, toRows } from '../data/rows.ts'
import { checkOptions, counted, DataError, OptionError, unknownName } from '../errors.ts'
import { Arena } from '../executors/arena.ts'
import { chooseExecutor } from '../executors/index.ts'
import { concrete } from '../graph/shape.ts'
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
}

/**
 * Any metric on arrays, without a model: what `evaluate` would report for a model that predicts this.
 *
 * @param metric A name, or one with options: `metrics.fBeta({ beta: 2 })`.
 * @param prediction What a model predicts: [samples] or [samples, …]. For classification logits, as models here predict them; of
 *   probabilities p take log(p / (1 - p)) (binary) or log(p) first.
 * @param target As many targets.
 * @throws OptionError if the metric does not fit the task; DataError if the numbers do not.
 * @example score('rocAuc', [0.3, -1.2, 2.5], [1, 0, 1], { task: 'binary' })
 */
export function score(metric: MetricName | Metric, prediction: NumbersLike, target: NumbersLike, options: ScoreOptions = {}): number {
  checkOptions('score', options, ['task'])
  const { task = 'regression' } = options
  if (!Object.hasOwn(lossOfTask, task)) throw unknownName('task', task, Object.keys(lossOfTask), 'score')
  const chosen = metricFor('score', metric)
  const { shape } = flatten('score: prediction', prediction)
  if (shape === null && task !== 'binary' && task !== 'regression')
    throw new OptionError(
      'score: rows of logits must be nested arrays or an NdArray, got a typed array; try new NdArray(logits, [samples, classes]).',
    )
  const loss = lossFor('score', lossOfTask[task])
  const input = placeholder(shape === null ? [1] : shape.slice(1))
  const spec = loss.target(input)
  const truth = placeholder(spec.shape.slice(1), { dtype: spec.dtype })
  // Its advice is about losses and models.
  const range: Range = { ...loss.range(input), advice: undefined }
  const rows = [
    toRows('score', prediction, { name: 'prediction', shape: concrete(input.shape.slice(1)), dtype: 'float32' }, 'any'),
    toRows('score', target, { name: 'target', shape: concrete(truth.shape.slice(1)), dtype: spec.dtype, range }, 'any'),
  ]
  const [{ count }] = rows
  if (rows[1].count !== count)
    throw new DataError(`score: prediction has ${counted(count, 'sample')} and target has ${rows[1].count}; they must be equal.`)
  const statistics = statisticsOf('score', chosen, input, truth, loss)
  const plan = buildPlan({
    inputs: { input, truth },
    outputs: Object.fromEntries(statistics.map((tensor, i) => [`statistic${i}`, tensor])),
    variables: new VariableLayout([]),
    batchSize: count,
    mode: 'inference',
  })
  const session = chooseExecutor({}).load(plan, Arena.allocate(plan.blocks))
  const view = (id: number) => session.arena.view(plan.tensors[id])
  view(plan.inputs.input).set(rows[0].values)
  view(plan.inputs.truth).set(rows[1].values)
  session.execute(0, plan.instructions.length)
  return resultOf('score', chosen, [{ samples: count, values: Object.values(plan.outputs).map(view) }])
}
