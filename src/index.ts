/** The public face of thalweg, and nothing else. */

export { balancedClassWeights } from './data/classWeights.ts'
export {
  type BatchOptions,
  Dataset,
  type DatasetSource,
  type DatasetSplitOptions,
  dataset,
  type MapOptions,
  type ShuffleOptions,
} from './data/dataset.ts'
export { NdArray, type NestedNumbers, type NumberArray, type NumbersLike } from './data/ndarray.ts'
export { arrow } from './data/readers/arrow.ts'
export type { ByteSourceLike } from './data/readers/byteSource.ts'
export { type CsvOptions, type CsvRow, csv } from './data/readers/csv.ts'
export { type IdxRow, idx, type LabelledIdxRow, readIdx } from './data/readers/idx.ts'
export { decodeImage, type ImageFolderOptions, type ImageOptions, type ImageRow, imageFolder } from './data/readers/images.ts'
export { jsonLines, textLines } from './data/readers/lines.ts'
export { type ParquetOptions, parquet } from './data/readers/parquet.ts'
export { type DataFormat, type ReadDataOptions, readData } from './data/readers/readData.ts'
export { type SqlOptions, type SqlValue, sql } from './data/readers/sql.ts'
export type { TextEncoding, TextFileOptions } from './data/readers/text.ts'
export type { BooleanField, BooleanOptions } from './data/schema/boolean.ts'
export type { CategoryColumnOptions, CategoryField } from './data/schema/category.ts'
export { column, target } from './data/schema/columns.ts'
export type { DateColumnOptions, DateField, DatePart } from './data/schema/date.ts'
export { type EncodedNumbers, type EncodeOptions, FittedSchema, type SchemaOutput } from './data/schema/fitted.ts'
export { type InferSchemaOptions, inferSchema } from './data/schema/infer.ts'
export type { ColumnOptions, FeatureColumn, TargetColumn } from './data/schema/kind.ts'
export type { SchemaInput } from './data/schema/layout.ts'
export type { NumberColumnOptions, NumberField } from './data/schema/number.ts'
export type { RowSource } from './data/schema/rows.ts'
export { type FitSchemaOptions, Schema, schema } from './data/schema/schema.ts'
export type { ClassAnswer, TargetCategoryOptions, TargetNumberOptions } from './data/schema/targets.ts'
export type { TextColumnOptions, TextField } from './data/schema/text.ts'
export type { Columns, PredictionOf, Row, RowOf, TrainingRowOf } from './data/schema/types.ts'
export type { ImageColumnOptions, NumbersField, VectorOptions } from './data/schema/vector.ts'
export { type SplitOptions, splitData, type TakeRowsOptions, takeRows } from './data/split.ts'
export {
  AbortError,
  BusyError,
  DataError,
  DtypeError,
  FileError,
  GraphError,
  MemoryError,
  NativeError,
  NonFiniteError,
  type NonFiniteOrigin,
  OptionError,
  ShapeError,
  ThalwegError,
  TrialError,
} from './errors.ts'
export { type ExecutionOptions, executionInfo } from './executors/index.ts'
export { type LockstepOptions, type LockstepReport, lockstep } from './executors/lockstep.ts'
export type { Profile, ProfiledInstruction } from './executors/profile.ts'
export type { Mode } from './graph/op.ts'
export { BatchDimension, batch, type Dimension, type Shape } from './graph/shape.ts'
export { type Dtype, type Phase, type Scope, type Spec, Tensor } from './graph/tensor.ts'
export { loadWeights, readSafetensors, type TensorFileOptions, writeSafetensors } from './interchange/safetensors.ts'
export {
  type ActivationChoice,
  type ActivationName,
  celu,
  elu,
  geglu,
  glu,
  hardSigmoid,
  hardSwish,
  hardTanh,
  leakyRelu,
  logSigmoid,
  mish,
  reglu,
  relu6,
  selu,
  silu,
  softsign,
  swiglu,
  thresholdedRelu,
} from './nn/activations.ts'
export { type Constraint, maxNorm, type NormOptions, nonNegative, unitNorm } from './nn/constraints.ts'
export {
  constantOf,
  glorotNormal,
  glorotUniform,
  heNormal,
  heUniform,
  type InitializerName,
  identity,
  leCunNormal,
  leCunUniform,
  normalOf,
  ones,
  orthogonal,
  truncatedNormal,
  uniformWithin,
  type VarianceScalingOptions,
  varianceScaling,
  zeros,
} from './nn/initializers.ts'
export {
  type ActivationOptions,
  activation,
  alphaDropout,
  concatenate,
  type DenseOptions,
  type DropConnectOptions,
  dense,
  dropConnect,
  dropout,
  type EmbeddingOptions,
  embedding,
  flatten,
  type GatedDenseOptions,
  gatedDense,
  gaussianDropout,
  gaussianNoise,
  input,
  type KernelOptions,
  type Layer,
  type MaxoutOptions,
  maxout,
  type PreluOptions,
  prelu,
  spatialDropout,
  stochasticDepth,
} from './nn/layers.ts'
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
} from './nn/losses/index.ts'
export type { ElementLossOptions, LossOptions } from './nn/losses/loss.ts'
export type { ContrastiveOptions, GaussianOptions, HuberOptions, PoissonOptions, QuantileOptions } from './nn/losses/regression.ts'
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
export { type BatchStatistics, type Metric, type MetricName, metrics } from './nn/metrics/index.ts'
export type { MetricOptions } from './nn/metrics/metric.ts'
export type { AreaOptions } from './nn/metrics/probability.ts'
export type { MixupOptions } from './nn/mixup.ts'
export { l1, l1l2, l2, orthogonalRegularizer, type Regularizer } from './nn/regularizers.ts'
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
export { randomNormal, randomUniform } from './ops/random.ts'
export { argmax, max, mean, type ReduceOptions, sum, sumOfSquares, variance } from './ops/reduce.ts'
export { broadcastTo, concat, flip, onesLike, reshape, slice, transpose, zerosLike } from './ops/shape.ts'
export { logSoftmax, softmax, softmaxCrossEntropy } from './ops/softmax.ts'
export { constant, elementCount, type Initializer, type Operand, parameter, stopGradient, whenTraining } from './ops/source.ts'
export { assign, assignAll, continueIf } from './ops/update.ts'
export { type AdamOptions, adam, adamax, adamW, type MomentOptions, type NadamOptions, nadam, radam } from './optim/adam.ts'
export {
  type AdadeltaOptions,
  type AdagradOptions,
  adadelta,
  adagrad,
  type FtrlOptions,
  ftrl,
  type RmspropOptions,
  rmsprop,
} from './optim/adaptive.ts'
export type { WeightDecay } from './optim/formulas.ts'
export type { Evaluation, FullBatchOptimizer, Minimizer, Vector } from './optim/fullBatch.ts'
export { type ParameterGroup, perGroup } from './optim/groups.ts'
export { type AdafactorOptions, adafactor, lamb } from './optim/layerwise.ts'
export { type LbfgsOptions, lbfgs } from './optim/lbfgs.ts'
export {
  type Counter,
  type Optimizer,
  type ParameterFilter,
  type ParameterInfo,
  perParameter,
  type Slot,
  type TrainedParameter,
  type UpdateCall,
  type Updates,
} from './optim/optimizer.ts'
export type { OptimizerName } from './optim/optimizers.ts'
export type { Duration, RateOptions, Schedule, ScheduleRun } from './optim/schedule.ts'
export type {
  CosineOptions,
  CosineRestartsOptions,
  CyclicOptions,
  ExponentialOptions,
  InverseSquareRootOptions,
  InverseTimeOptions,
  LinearWarmupOptions,
  MultiStepOptions,
  NoamOptions,
  OneCycleOptions,
  PiecewiseConstantOptions,
  PolynomialOptions,
  StepDecayOptions,
} from './optim/scheduleFormulas.ts'
export { type LearningRate, type ScheduleName, type SequencePart, schedules } from './optim/schedules.ts'
export { type SgdOptions, sgd } from './optim/sgd.ts'
export { type LionOptions, lion, type RpropOptions, rprop } from './optim/signs.ts'
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
export type { BatchPredictor } from './predict/batchPredictor.ts'
export { Predictor, type PredictorOptions, type RequestOptions } from './predict/predictor.ts'
export type { TransformOptions } from './predict/transform.ts'
export { type ImportanceOptions, permutationImportance } from './report/importance.ts'
export { liveReport, type RecordTrainingOptions, recordTraining, type TrainingRecord } from './report/recordTraining.ts'
export type {
  ColumnImportance,
  ColumnSummary,
  DataSummary,
  Histogram,
  Point,
  ReportData,
  ReportImportance,
  ReportResults,
  ReportScore,
  ReportTask,
  TrainingSummary,
} from './report/reportData.ts'
export { type ReportResultsOptions, reportResults } from './report/results.ts'
export { type ReportServer, type ServeReportOptions, serveReport } from './report/server.ts'
export { type SummarizeDataOptions, summarizeData } from './report/summarizeData.ts'
export { writeReport } from './report/writeReport.ts'
export { type DefaultTraining, type DefaultTrainingOptions, defaultTraining } from './tabular/defaults.ts'
export type { TableRows } from './tabular/encoding.ts'
export type { EvaluateTableOptions, TableEvaluation, TableMetrics } from './tabular/evaluation.ts'
export {
  type CrossValidateTableOptions,
  crossValidateTable,
  type TableCrossValidation,
  type TableFold,
} from './tabular/folds.ts'
export { loadTabular } from './tabular/loadTabular.ts'
export { type DefaultNetworkOptions, defaultNetwork, type NetworkInput, type NetworkOutput } from './tabular/network.ts'
export { type TableReportOptions, tableReport } from './tabular/report.ts'
export { openSharedTabular } from './tabular/sharing.ts'
export { type TabularOptions, tabular } from './tabular/tabular.ts'
export { type SharedTabularModel, type TabularFitOptions, TabularModel } from './tabular/tabularModel.ts'
export type { Callback, StepGroup, TrainEnd, TrainingRun } from './train/callbacks/callback.ts'
export type { BestWeightsOptions, EarlyStopping } from './train/callbacks/earlyStopping.ts'
export { callbacks } from './train/callbacks/index.ts'
export type { LogOptions } from './train/callbacks/logs.ts'
export type { MonitorOptions } from './train/callbacks/monitor.ts'
export type { ReduceOnPlateauOptions } from './train/callbacks/reduceOnPlateau.ts'
export type { TensorBoardOptions } from './train/callbacks/tensorBoard.ts'
export type { CheckpointOptions } from './train/checkpoint/options.ts'
export {
  type CrossValidateOptions,
  type CrossValidation,
  crossValidate,
  type Fold,
  type KFoldOptions,
  kFold,
} from './train/crossValidation.ts'
export {
  type CustomData,
  type CustomFitOptions,
  type CustomSample,
  CustomTraining,
  type CustomTrainingOptions,
  customTraining,
  type MinimizeOptions,
} from './train/customTraining.ts'
export type { EvaluateOptions } from './train/evaluate.ts'
export type { FitOptions, History, Listeners, Progress } from './train/fit.ts'
export { type GradcheckOptions, type GradcheckReport, gradcheck } from './train/gradcheck.ts'
export { type LoadOptions, loadModel } from './train/loadModel.ts'
export { model, sequential } from './train/makeModel.ts'
export type { EpochValues } from './train/measures.ts'
export { Model, type ModelOptions } from './train/model.ts'
export type { SaveOptions } from './train/modelFile.ts'
export type { RowFeatures } from './train/modelRows.ts'
export type { ObjectiveOptions, PerOutput } from './train/objective.ts'
export type { EpochOptions, RunOptions } from './train/options.ts'
export type { PredictOptions } from './train/predictions.ts'
export type { ClassWeights } from './train/sampleWeights.ts'
export { type ScoreOptions, score } from './train/score.ts'
export { openShared, type SharedModel } from './train/sharing.ts'
export type { EpochEvent, StepEvent, TrainEvent, TrainOptions } from './train/train.ts'
export type { PlanOptions } from './train/training.ts'
export type { Features, Sample, SampleNumbers, Targets, TrainingData } from './train/trainingData.ts'
export type { Strategy, TuneOptions, TuneProgress } from './tune/options.ts'
export { type TrialResult, TuneResult } from './tune/result.ts'
export { type Distribution, type ParametersOf, type ParameterValue, type RangeOptions, type SearchSpace, space } from './tune/space.ts'
export type { Trial, TrialContext, TrialOutcome } from './tune/trial.ts'
export { tune } from './tune/tune.ts'
