/** The public face of thalweg, and nothing else. */

export { balancedClassWeights } from './data/classWeights.ts'
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
export type {
  BinaryCrossentropyOptions,
  BinaryFocalOptions,
  CategoricalCrossentropyOptions,
  CategoricalFocalOptions,
  ClassNumberOptions,
  SparseCategoricalCrossentropyOptions,
  SparseCategoricalFocalOptions,
} from './nn/losses/classification.ts'
export type { TripletOptions } from './nn/losses/embedding.ts'
export type { ElementLossOptions, LossOptions } from './nn/losses/loss.ts'
export type { ContrastiveOptions, GaussianOptions, HuberOptions, PoissonOptions, QuantileOptions } from './nn/losses/regression.ts'
export {
  type CustomLoss,
  euclideanDistance,
  type Loss,
  type LossChoice,
  type LossName,
  losses,
  type Reduction,
  type Task,
  tripletMargin,
} from './nn/losses.ts'
export type { Average, PerClassOptions, ThresholdOptions } from './nn/metrics/classification.ts'
export { type ClassificationReport, type ClassScores, classificationReport, confusionMatrix } from './nn/metrics/confusion.ts'
export {
  type CalibrationCurve,
  calibrationCurve,
  type PrecisionRecallCurve,
  precisionRecallCurve,
  type RocCurve,
  rocCurve,
} from './nn/metrics/curves.ts'
export type { MetricOptions } from './nn/metrics/metric.ts'
export type { AreaOptions } from './nn/metrics/probability.ts'
export { type BatchStatistics, type Metric, type MetricName, metrics } from './nn/metrics.ts'
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
export { matmul } from './ops/matmul.ts'
export { argmax, max, mean, type ReduceOptions, sum, variance } from './ops/reduce.ts'
export { broadcastTo, concat, onesLike, reshape, slice, transpose, zerosLike } from './ops/shape.ts'
export { logSoftmax, softmax, softmaxCrossEntropy } from './ops/softmax.ts'
export { constant, elementCount, type Initializer, type Operand, parameter, stopGradient, whenTraining } from './ops/source.ts'
export {
  type AdamOptions,
  type AdamWOptions,
  adam,
  adamW,
  type LearningRate,
  type Optimizer,
  type OptimizerName,
  type SgdOptions,
  sgd,
  type UpdateCall,
} from './optim/optimizers.ts'
export type { Plan } from './plan/plan.ts'
export { printPlan } from './plan/print.ts'
export type { EpochOptions, Progress } from './train/epochs.ts'
export type { EvaluateOptions } from './train/evaluate.ts'
export type { EarlyStopping, FitOptions, History } from './train/fit.ts'
export { type GradcheckOptions, type GradcheckReport, gradcheck } from './train/gradcheck.ts'
export { type Features, Model, type ModelOptions, model, sequential, type Targets, type TrainingData } from './train/model.ts'
export type { EpochValues, ObjectiveOptions, PerOutput } from './train/objective.ts'
export { type ScoreOptions, score } from './train/score.ts'
export type { EpochEvent, StepEvent, TrainEvent, TrainOptions } from './train/train.ts'
export type { ClassWeights } from './train/weights.ts'
