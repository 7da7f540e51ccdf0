import { assert } from '../errors.ts'
import { sizeOf } from '../graph/shape.ts'
import { allocateShared, bytesToAlignment, formatBytes } from '../memory.ts'
import { ALIGNMENT, type PlanTensor } from '../plan/plan.ts'

export type Precision = 'float32' | 'float64'

export type Values = Float32Array | Float64Array | Int32Array

/**
 * The memory plans run in: named blocks inside SharedArrayBuffers. JavaScript owns it, worker
 * threads can share it, nobody frees it by hand. An arena may borrow blocks from another one: all
 * sessions of a model share its parameters and have a workspace of their own.
 *
 * In float64 (the reference executor's gradient checks) every element takes 8 bytes, indices too.
 */
export class Arena {
  readonly precision: Precision
  private readonly regions: ReadonlyMap<string, Uint8Array<SharedArrayBuffer>>

  private constructor(precision: Precision, regions: ReadonlyMap<string, Uint8Array<SharedArrayBuffer>>) {
    this.precision = precision
    this.regions = regions
  }

  /**
   * @param blocks Bytes (of 4-byte elements) of each block wanted. Those that `lender` has are borrowed.
   * @throws MemoryError when the machine, or the container, has less.
   */
  static allocate(blocks: Readonly<Record<string, number>>, options: { precision?: Precision; lender?: Arena } = {}): Arena {
    const { lender, precision = lender?.precision ?? 'float32' } = options
    assert(lender === undefined || lender.precision === precision, 'Arenas of different precision cannot share blocks.')
    const scale = precision === 'float64' ? 2 : 1
    const regions = new Map<string, Uint8Array<SharedArrayBuffer>>()
    const missing: [string, number][] = []
    for (const [name, bytes] of Object.entries(blocks)) {
      const lent = lender?.regions.get(name)
      if (lent === undefined) missing.push([name, bytes * scale])
      else {
        assert(lent.byteLength >= bytes * scale, `Block "${name}" has ${lent.byteLength} bytes, ${bytes * scale} are needed.`)
        regions.set(name, lent)
      }
    }
    const total = missing.reduce((sum, [, bytes]) => sum + bytes, 0)
    let region = allocateAligned(total, missing)
    for (const [name, bytes] of missing) {
      regions.set(name, region.subarray(0, bytes))
      region = region.subarray(bytes)
    }
    for (const [name, lent] of lender?.regions ?? []) if (!regions.has(name)) regions.set(name, lent)
    return new Arena(precision, regions)
  }

  /** The blocks of several arenas, each with what stands in front of its name. They are shared, not copied. */
  static join(arenas: Iterable<readonly [prefix: string, arena: Arena]>): Arena {
    const parts = [...arenas]
    const regions = parts.flatMap(([prefix, { regions }]) => [...regions].map(([name, region]) => [prefix + name, region] as const))
    const [[, { precision }]] = parts
    assert(
      parts.every(([, arena]) => arena.precision === precision) && new Set(regions.map(([name]) => name)).size === regions.length,
      'Arenas that are joined must have one precision and blocks of different names.',
    )
    return new Arena(precision, new Map(regions))
  }

  /** Over blocks that another thread has, as its `blocks` gives them. */
  static over(blocks: ReadonlyMap<string, Uint8Array<SharedArrayBuffer>>, precision: Precision = 'float32'): Arena {
    return new Arena(precision, new Map(blocks))
  }

  /** All blocks by name, to be sent to a worker thread: messages carry shared memory without a copy. */
  get blocks(): ReadonlyMap<string, Uint8Array<SharedArrayBuffer>> {
    return this.regions
  }

  has(block: string): boolean {
    return this.regions.has(block)
  }

  /** The bytes of a block, as the native executor takes them. */
  region(block: string): Uint8Array<SharedArrayBuffer> {
    const region = this.regions.get(block)
    assert(region !== undefined, `The arena has no block "${block}".`)
    return region
  }

  /** A tensor's elements, without a copy. */
  view(tensor: Pick<PlanTensor, 'block' | 'offset' | 'shape' | 'dtype'>): Values {
    const { buffer, byteOffset } = this.region(tensor.block)
    const size = sizeOf(tensor.shape)
    if (this.precision === 'float64') return new Float64Array(buffer, byteOffset + tensor.offset * 2, size)
    if (tensor.dtype === 'int32') return new Int32Array(buffer, byteOffset + tensor.offset, size)
    return new Float32Array(buffer, byteOffset + tensor.offset, size)
  }
}

/** One zeroed piece of shared memory that starts on a cache line. */
function allocateAligned(bytes: number, parts: readonly (readonly [string, number])[]): Uint8Array<SharedArrayBuffer> {
  const list = parts.map(([name, size]) => `${name} ${formatBytes(size)}`).join(', ')
  const what = `The plan needs ${formatBytes(bytes)} (${list})`
  const buffer = allocateShared(bytes + ALIGNMENT, what, 'Try a smaller batchSize or narrower layers.')
  const whole: Uint8Array<ArrayBufferLike> = new Uint8Array(buffer)
  const start = bytesToAlignment(whole)
  return new Uint8Array(buffer, start, bytes)
}
