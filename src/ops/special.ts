/** Functions of one number in double precision that JavaScript's Math lacks. They define the meaning of the ops of the same name. */

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI)

/**
 * The error function, 2/√π ∫₀ˣ e^(-t²) dt (Abramowitz and Stegun 7.1.6 below 3, the continued fraction 7.1.14 above).
 * Relative error about 1e-15.
 */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (Number.isNaN(x)) return x
  if (a > 6) return Math.sign(x)
  if (a < 3) {
    let term = a
    let total = a
    for (let n = 1; term > total * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1)
      total += term
    }
    return Math.sign(x) * TWO_OVER_SQRT_PI * Math.exp(-a * a) * total
  }
  let fraction = a
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction))
}

/** 1 / (1 + e^-x), without overflow on either side. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x))
  const e = Math.exp(x)
  return e / (1 + e)
}

/** log(1 + e^x), without overflow and with full relative accuracy for very negative x. */
export function softplus(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x))
}

/** x Φ(x), Φ being the standard normal distribution (Hendrycks and Gimpel 2016, arXiv:1606.08415). */
export function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x * Math.SQRT1_2))
}

/** The tanh approximation of gelu: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), same source. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
}

/** x^y by the rules of IEEE 754, from which JavaScript's ** differs at base 1 and -1. */
export function power(x: number, y: number): number {
  if (x === 1) return 1
  if (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY) return 1
  return x ** y
}
