/** What columns do where nobody says otherwise, in one place. The docstrings of the options repeat it for readers. */

/** Text that stands for a value that is not there, beside the empty one. */
export const missingValues: readonly (string | number)[] = ['NA', 'N/A', 'null']

/** What else a sample of numbers, dates or truth values may hold for values that are not there; inference says so in a warning. */
export const missingMarkers: readonly string[] =
  'NaN nan NAN na n/a NULL Null None none ? - -- . #N/A missing Missing unknown Unknown'.split(' ')

export const numberDefaults = { scale: 'auto', bins: 0, missing: 'median', clip: 5 } as const

/** `scale: 'auto'` takes the logarithm of a column that is more skewed than this, if that makes it less so. */
export const SKEWED = 1

export const categoryDefaults = { encode: 'oneHot', most: 100, minimumCount: 5, unseen: 'other', missing: 'category' } as const

export const textDefaults = {
  encode: 'vocabulary',
  ngrams: [1, 1],
  tfidf: true,
  most: 1000,
  hashedWidth: 512,
  length: 64,
  minimumCount: 2,
} as const

export const dateDefaults = { clip: 5 } as const

export const inference = {
  /** Rows that are looked at. */
  sample: 10_000,
  /** Of numbers with more than two values. Measured on house prices, customers who leave and spam: they make a network see what is not a straight line. */
  bins: 8,
  /** Fewer rows do not tell an identifier, a text or a leak from chance. */
  fewestRows: 20,
  /** Integer targets of at most this many values are classes. */
  mostIntegerClasses: 20,
  /** Targets of text with more values than this are refused. */
  mostClasses: 1000,
  /** Text has at least so many words on average, and is rarely the same. */
  fewestWords: 3,
  textDistinct: 0.5,
  /** A share of missing values worth a warning. */
  manyMissing: 0.5,
  /** A correlation with the target that is too good to be true. */
  leak: 0.9999,
} as const
