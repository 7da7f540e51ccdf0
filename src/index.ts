/** The public face of thalweg, and nothing else. */

export { NdArray, type NestedNumbers, type NumbersLike } from './data/ndarray.ts'
export {
  AbortError,
  BusyError,
  DataError,
  DtypeError,
  GraphError,
  MemoryError,
  NativeError,
  NonFiniteError,
  type NonFiniteOrigin,
  OptionError,
  ShapeError,
  ThalwegError,
} from './errors.ts'
export { type ExecutionOptions, executionInfo } from './executors/index.ts'
export { type LockstepOptions, type LockstepReport, lockstep } from './executors/lockstep.ts'
export type { Profile, ProfiledInstruction } from './executors/profile.ts'
export type { Mode } from './graph/op.ts'
export { BatchDimension, batch, type Dimension, type Shape } from './graph/shape.ts'
export { type Dtype, type Phase, type Scope, type Spec, Tensor } from './graph/tensor.ts'
export type { ActivationChoice, ActivationName } from './nn/activations.ts'
export { constantOf, glorotNormal, glorotUniform, heNormal, heUniform, type InitializerName, ones, zeros } from './nn/initializers.ts'
export { activation, concatenate, type DenseOptions, dense, dropout, flatten, input, type Layer } from './nn/layers.ts'
export { type Loss, type LossChoice, type LossName, losses } from './nn/losses.ts'
export type { BatchStatistics, Metric, MetricName } from './nn/metrics.ts'
export { l2, type Regularizer } from './nn/regularizers.ts'
export {
  abs,
  add,
  cast,
  divide,
  equal,
  erf,
  exp,
  gelu,
  geluTanh,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  notEqual,
  power,
  reciprocal,
  relu,
  sigmoid,
  sign,
  softplus,
  sqrt,
  square,
  subtract,
  tanh,
  where,
} from './ops/elementwise.ts'
export { gradients } from './ops/gradients.ts'
export { gather, oneHot, scatterAdd } from './ops/indexing.ts'
export { type MatmulOptions, matmul } from './ops/matmul.ts'
export { argmax, max, mean, type ReduceOptions, sum, sumOfSquares, variance } from './ops/reduce.ts'
export { broadcastTo, concat, flip, onesLike, reshape, slice, transpose, zerosLike } from './ops/shape.ts'
export { logSoftmax, softmax, softmaxCrossEntropy } from './ops/softmax.ts'
export { constant, elementCount, type Initializer, type Operand, parameter, stopGradient, whenTraining } from './ops/source.ts'
export { assign, assignAll, continueIf } from './ops/update.ts'
export type { FullBatchOptimizer } from './optim/fullBatch.ts'
export { type ParameterGroup, perGroup } from './optim/groups.ts'
export { type LbfgsOptions, lbfgs } from './optim/lbfgs.ts'
export {
  type Counter,
  type LearningRate,
  type Optimizer,
  type ParameterFilter,
  type ParameterInfo,
  perParameter,
  type Slot,
  type TrainedParameter,
  type UpdateCall,
  type Updates,
} from './optim/optimizer.ts'
export { type AdamOptions, type AdamWOptions, adam, adamW, type OptimizerName, type SgdOptions, sgd } from './optim/optimizers.ts'
export {
  type AccumulationOptions,
  type AveragingOptions,
  accumulateGradients,
  averageWeights,
  type ClippingOptions,
  clipGradients,
  type LookaheadOptions,
  lookahead,
  type SharpnessOptions,
  sharpnessAware,
} from './optim/wrappers.ts'
export type { Plan } from './plan/plan.ts'
export { printPlan } from './plan/print.ts'
export type { EpochOptions, Progress } from './train/epochs.ts'
export type { EvaluateOptions } from './train/evaluate.ts'
export type { EarlyStopping, FitOptions, History } from './train/fit.ts'
export { type GradcheckOptions, type GradcheckReport, gradcheck } from './train/gradcheck.ts'
export {
  type Features,
  Model,
  type ModelOptions,
  model,
  type PlanOptions,
  type PredictOptions,
  sequential,
  type TrainingData,
} from './train/model.ts'
export type { EpochValues } from './train/objective.ts'
export type { EpochEvent, StepEvent, TrainEvent, TrainOptions } from './train/train.ts'
