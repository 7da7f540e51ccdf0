/** What a report says, as plain JSON: the page reads the same. A number that is not finite is null. */

/** What is predicted. "regression": numbers; "binary": whether something is so; "classes": one of several. */
export type ReportTask = 'regression' | 'binary' | 'classes'

/** A point of a curve: x, y. */
export type Point = readonly [number, number]

/** Numbers counted in bins of equal width from `low` to `high`; what lies outside, in the outermost. */
export interface Histogram {
  readonly low: number
  readonly high: number
  readonly counts: readonly number[]
}

/** A column of the data, as `summarizeData` describes it. */
export interface ColumnSummary {
  /** Its name. */
  readonly name: string
  /** What its values are: "number", "category", or a kind of a schema. */
  readonly kind: string
  /** How many rows have no value here. */
  readonly missing: number
  /** How many different values there are; left out if too many to count. */
  readonly distinct?: number
  /** Of numbers: the smallest. */
  readonly minimum?: number | null
  /** Of numbers: the largest. */
  readonly maximum?: number | null
  /** Of numbers: their mean. */
  readonly mean?: number | null
  /** Of numbers: how they are distributed. */
  readonly histogram?: Histogram
  /** Of categories: the most frequent values, with how often they occur. */
  readonly top?: readonly { readonly value: string; readonly count: number }[]
}

/** What the data are. @example (await summarizeData([{ area: 50, street: 'Pave' }])) satisfies DataSummary */
export interface DataSummary {
  /** How many rows there are. */
  readonly rows: number
  /** One entry for each column. */
  readonly columns: readonly ColumnSummary[]
}

/** How training went, as `recordTraining` records it. */
export interface TrainingSummary {
  /** Whether it goes on, has ended, or was ended by an error. */
  readonly state: 'running' | 'ended' | 'failed'
  /** What ended it: as `History.stopped`, or the message of the error. */
  readonly stopped?: string | null
  /** The option `epochs` of fit; null if there is no last one. */
  readonly epochs: number | null
  /** Epochs that are completed, those before `initialEpoch` included. */
  readonly completed: number
  /** Steps of an epoch; null if that is not known. */
  readonly stepsPerEpoch: number | null
  /**
   * What epochs measured, by name: `loss`, the metrics, and with `validation` in front those of the validation; against the number of the epoch, from 0. As all curves here
   * at most 2,000 points, among which the smallest and largest are kept; what is not finite is left out.
   */
  readonly curves: Readonly<Record<string, readonly Point[]>>
  /** The loss of steps, against the number of the step, from 0. */
  readonly stepLosses: readonly Point[]
  /** The learning rate, against the number of the step, from 0. */
  readonly learningRates: readonly Point[]
  /** The best epoch by `validationLoss`, or without validation by `loss`, from 0; null if there is none. */
  readonly bestEpoch: number | null
  /** How long it has taken. */
  readonly seconds: number
  /** Rows trained on in a second; left out if not known. */
  readonly rowsPerSecond?: number | null
}

/** A number that says how good predictions are, under the name of its metric. */
export interface ReportScore {
  /** As in `metrics`: `r2Score`, `rocAuc`. */
  readonly name: string
  readonly value: number | null
}

/** How good predictions are on rows the network has not been trained on, as `reportResults` makes it. */
export interface ReportResults {
  /** How many rows were held out. */
  readonly rows: number
  /** The scores; the page begins with the first. */
  readonly scores: readonly ReportScore[]
  /** Of classes: the share of rows of the most frequent one, which is the accuracy of who always answers that. */
  readonly commonestShare?: number
  /** Of classes: their names. */
  readonly labels?: readonly string[]
  /** Of classes: a row for each true class, a column for each predicted one; of more than 25 classes the rarest are one. */
  readonly confusion?: { readonly labels: readonly string[]; readonly counts: readonly (readonly number[])[] }
  /** Of classes: how well each is told from the others. */
  readonly classes?: readonly {
    readonly name: string
    readonly precision: number
    readonly recall: number
    readonly f1: number
    readonly support: number
  }[]
  /** Of numbers: the true and the predicted of at most 2,000 rows, and how all differences (predicted - true) are distributed. */
  readonly residuals?: {
    readonly points: readonly Point[]
    readonly histogram: Histogram
    /** The share of rows, and the size (without sign) that the differences of so many rows do not exceed. */
    readonly quantiles: readonly { readonly share: number; readonly size: number }[]
  }
  /**
   * Of classes: how often what is predicted with a probability is so. For "classes" the probability is that of the predicted class (Guo et al. 2017).
   */
  readonly calibration?: { readonly predicted: readonly number[]; readonly observed: readonly number[]; readonly counts: readonly number[] }
  /** Of "binary": the share of false ones that are taken for true, and the share of true ones that are found. */
  readonly roc?: { readonly points: readonly Point[]; readonly area: number | null }
  /** Of "binary": recall and precision; `base` is the share of true ones. */
  readonly precisionRecall?: { readonly points: readonly Point[]; readonly area: number | null; readonly base: number }
}

/** What one column is worth, as `permutationImportance` measures it. */
export interface ColumnImportance {
  readonly name: string
  /** By how much the score becomes worse, on average, when the column is shuffled. */
  readonly importance: number
  /** The standard deviation of that over the repetitions. */
  readonly spread: number
}

/** What each column is worth to the network. @example ({ metric: 'r2Score', score: 0.9, columns: [{ name: 'area', importance: 0.4, spread: 0.01 }] }) satisfies ReportImportance */
export interface ReportImportance {
  /** The name of the score that becomes worse. */
  readonly metric: string
  /** The score of the rows as they are. */
  readonly score: number
  /** The columns, the most important first. */
  readonly columns: readonly ColumnImportance[]
}

/**
 * What a report says; what is left out is not on the page.
 *
 * @example ({ title: 'House prices', task: 'regression', target: 'Sale_Price', warnings: ['Two rows are the same.'] }) satisfies ReportData
 */
export interface ReportData {
  /** The title of the page. */
  readonly title: string
  /** What is predicted. */
  readonly task?: ReportTask
  /** The name of the column that is predicted. */
  readonly target?: string
  /** When it was made, as `new Date().toISOString()` says it. */
  readonly created?: string
  /** How the network was made and trained, one line each. */
  readonly configuration?: Readonly<Record<string, string | number | boolean | null>>
  /** What the data are: `summarizeData`. */
  readonly data?: DataSummary
  /** The layers, as `model.summary()` lists them. */
  readonly network?: string
  /** How training went: `recordTraining`. */
  readonly training?: TrainingSummary
  /** How good predictions are on held-out rows: `reportResults`. */
  readonly results?: ReportResults
  /** What each column is worth: `permutationImportance`. */
  readonly importance?: ReportImportance
  /** What the reader should know before trusting the rest. */
  readonly warnings?: readonly string[]
}
