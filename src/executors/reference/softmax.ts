import { type Kernel, split, type View } from './kernel.ts'

/** Calls `visit` with the start of each row, its length, the row's maximum, and Σ e^(x - maximum). */
function forEachRow(x: View, visit: (start: number, length: number, maximum: number, sum: number) => void): void {
  const [rows, length] = split(x.shape, x.shape.length - 1, x.shape.length)
  for (let row = 0; row < rows; row++) {
    const start = row * length
    let maximum = Number.NEGATIVE_INFINITY
    for (let i = 0; i < length; i++) maximum = Math.max(maximum, x.values[start + i])
    let sum = 0
    for (let i = 0; i < length; i++) sum += Math.exp(x.values[start + i] - maximum)
    visit(start, length, maximum, sum)
  }
}

/** y = e^(x - max) / Σ e^(x - max) over the last axis. */
const softmax: Kernel = ([x], [y]) => {
  forEachRow(x, (start, length, maximum, sum) => {
    for (let i = start; i < start + length; i++) y.values[i] = Math.exp(x.values[i] - maximum) / sum
  })
}

/** y = (x - max) - log Σ e^(x - max) over the last axis. */
const logSoftmax: Kernel = ([x], [y]) => {
  forEachRow(x, (start, length, maximum, sum) => {
    const logarithm = Math.log(sum)
    for (let i = start; i < start + length; i++) y.values[i] = x.values[i] - maximum - logarithm
  })
}

/** y = log Σ e^(x - max) - (x_t - max) for the label t of each row; NaN where the label is no class. */
const softmaxCrossEntropy: Kernel = ([x, labels], [y]) => {
  forEachRow(x, (start, length, maximum, sum) => {
    const row = start / length
    const label = labels.values[row]
    y.values[row] = label >= 0 && label < length ? Math.log(sum) - (x.values[start + label] - maximum) : Number.NaN
  })
}

/** y_i = (e^(x_i - max) / Σ e^(x - max) - [i = t]) dy, dy one a row or one for all; NaN where the label is no class and dy not 0. */
const softmaxCrossEntropyGradient: Kernel = ([x, labels, dy], [y]) => {
  forEachRow(x, (start, length, maximum, sum) => {
    const row = start / length
    const label = labels.values[row]
    const incoming = dy.values[dy.shape.length === 0 ? 0 : row]
    const factor = (label >= 0 && label < length) || incoming === 0 ? incoming : Number.NaN
    for (let i = 0; i < length; i++) {
      const probability = Math.exp(x.values[start + i] - maximum) / sum
      y.values[start + i] = (probability - (i === label ? 1 : 0)) * factor
    }
  })
}

export const softmaxKernels = { softmax, logSoftmax, softmaxCrossEntropy, softmaxCrossEntropyGradient }
