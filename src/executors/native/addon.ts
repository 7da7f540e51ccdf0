/**
 * The compiled addon: what it exports, and how it is found.
 *
 * The types below are the contract with `native/binding/`, which checks every value again. Nothing here knows what a plan means.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { useNativeMemory } from '../../memory.ts'
import { type NativeShuffle, useNativeShuffle } from '../../random.ts'

/** Stands in native/binding/addon.cc too. It changes with the types below, so that an old binary is recognised. */
const interfaceVersion = 4

export type AddonAttribute = number | boolean | string | readonly number[] | readonly string[]

export interface AddonTensor {
  /** The block it lies in: a position in `AddonPlan.blocks`. */
  readonly block: number
  /** Bytes from the start of the block, a multiple of `Addon.alignment`. */
  readonly offset: number
  readonly dtype: 'float32' | 'int32'
  /** Up to 8 extents, 0 allowed. Elements are contiguous and row-major. */
  readonly shape: readonly number[]
}

export interface AddonInstruction {
  /** The name of a kernel. */
  readonly op: string
  /** Positions in `AddonPlan.tensors`. */
  readonly inputs: readonly number[]
  /** An output is apart from all other operands, or exactly the same memory. */
  readonly outputs: readonly number[]
  readonly attributes?: Readonly<Record<string, AddonAttribute>>
}

export interface AddonPlan {
  /** Bytes of each block of memory. */
  readonly blocks: readonly number[]
  readonly tensors: readonly AddonTensor[]
  readonly instructions: readonly AddonInstruction[]
}

/** As many as one plan may have: `kMaximumThreads` of the addon. */
export const MAXIMUM_THREADS = 256

/** How many threads a plan has unless somebody says: one for each of these processors, of which a machine may have more than a plan can have threads. */
export const defaultThreads = (processors: number) => Math.min(processors, MAXIMUM_THREADS)

export interface AddonLoadOptions {
  /** One of `Addon.isas`. Otherwise the one that the environment variable THALWEG_ISA names, otherwise the best. */
  readonly isa?: string
  /** At most so many threads work on one instruction: 1 to 256. The native executor always says, by default `defaultThreads`; without it `Addon.hardwareThreads`, which may be too many. */
  readonly threads?: number
  /** Instructions estimated at fewer nanoseconds stay on one thread. For tests: 0 shares out everything. */
  readonly serialBelow?: number
}

export interface AddonFeed {
  /** The tensor that is filled before steps. */
  readonly tensor: number
  /** Of the tensor's dtype. Over a SharedArrayBuffer it is read in place; over an ArrayBuffer, `run` copies it first. */
  readonly source: Float32Array | Int32Array
  /**
   * How the source is used up.
   * `row`: the tensor's first axis is the batch; each step takes that many rows, in `order`.
   * `step`: each step takes the next piece, as large as the tensor.
   * `run`: the source is as large as the tensor and is copied once, before the first step.
   */
  readonly each: 'row' | 'step' | 'run'
}

export interface AddonRunRequest {
  readonly steps: number
  readonly feeds?: readonly AddonFeed[]
  /** The rows of every step, one step after the other: steps × batch numbers. Otherwise rows follow each other from `firstRow`. */
  readonly order?: Int32Array
  /** 0 when missing. */
  readonly firstRow?: number
  /**
   * After each step the contents of these tensors are appended to `into`, 4 bytes an element whatever the dtype: view its buffer
   * as Int32Array for int32. Includes a step that stopped at `nonFinite`.
   */
  readonly records?: { readonly tensors: readonly number[]; readonly into: Float32Array | Int32Array }
  /**
   * Where the nanoseconds go of each part of a step: the feeds, each instruction, the records. First a sum over all steps for
   * each part (added to what is there); then, for as many of the first steps as there is room for, 1 + parts times since the run
   * began: when the step began, and when each part ended.
   */
  readonly profile?: Float64Array
  /**
   * Two numbers shared with the run: `[0]` stops it before its next step when it is not 0 (`Atomics.store`); in `[1]` the run
   * counts the steps it has completed (`Atomics.load`).
   */
  readonly control?: Int32Array
  /**
   * Called about every 50 ms, and at the end, with the number of steps completed; by a run that happens at once, never. What it
   * throws stops the run and rejects its promise.
   */
  readonly onProgress?: (completedSteps: number) => void
}

export interface AddonRunResult {
  /** Steps that ran to their end. */
  readonly completedSteps: number
  /** Why there are no more: all were run, `control[0]` was set, or a kernel stopped the step (`checkFinite`, `checkMatmul`). */
  readonly stopped: 'none' | 'aborted' | 'nonFinite'
  /** The instruction that stopped the step; -1 otherwise. */
  readonly instruction: number
}

/** A plan that is ready to run over its regions. It keeps them alive. */
export interface AddonSession {
  /** The instruction set that runs. */
  readonly isa: string
  readonly threads: number
  /**
   * Runs on a thread of its own, or at once if that takes less time than to begin one. The regions, `records.into`, `profile` and `control` must be over SharedArrayBuffers (an ArrayBuffer can
   * be detached while the run uses it). Everything wrong with the request rejects the promise, and so does a run in progress.
   */
  run(request: AddonRunRequest): Promise<AddonRunResult>
  /** Runs instructions `first` … `end - 1` once, on the calling thread, over what the regions hold. */
  execute(first: number, end: number): void
}

/** The codes of the errors that the addon throws, or rejects a run with. */
export type AddonErrorCode =
  | 'ERR_THALWEG_ARGUMENT'
  | 'ERR_THALWEG_PLAN'
  | 'ERR_THALWEG_ISA'
  | 'ERR_THALWEG_BUSY'
  | 'ERR_THALWEG_NOT_SHARED'
  | 'ERR_THALWEG_DETACHED'
  | 'ERR_THALWEG_MEMORY'
  | 'ERR_THALWEG_THREAD'

export interface Addon {
  readonly interfaceVersion: number
  /** The instruction sets that work on this machine, best first. */
  readonly isas: readonly string[]
  /** The names of all kernels. */
  readonly kernels: readonly string[]
  /** The names of the steps of an `elementwise` instruction. */
  readonly steps: readonly string[]
  /** How many threads this process can really run at once. */
  readonly hardwareThreads: number
  /** Regions start at, and tensors are offset by, a multiple of so many bytes. */
  readonly alignment: number
  /** How many bytes of an array to skip so that the rest starts at an aligned address. */
  bytesToAlignment(memory: Uint8Array | Float32Array | Int32Array): number
  /** Tells V8 that so many bytes more (or, negative, less) hang on objects it manages; gives the sum. */
  adjustExternalMemory(bytes: number): number
  readonly shuffle: NativeShuffle
  /** `regions[i]` is the memory of `plan.blocks[i]`: aligned, and at least as large. */
  load(plan: AddonPlan, regions: readonly (Uint8Array | Float32Array | Int32Array)[], options?: AddonLoadOptions): AddonSession
}

export type LoadedAddon = { readonly addon: Addon; readonly failure?: undefined } | { readonly addon?: undefined; readonly failure: string }

let loaded: LoadedAddon | undefined

/** The addon, or why there is none, in plain English. Looked for once. */
export function loadAddon(): LoadedAddon {
  loaded ??= findAddon()
  return loaded
}

const require = createRequire(import.meta.url)

interface Candidate {
  path: string
  open: () => unknown
}

// Paths are literals, so that bundlers and packagers see which files the package needs. From `src/executors/native` and from
// `dist/bundle/esm` alike, the package root is three folders up.
const built: Candidate = {
  path: '../../../build/Release/thalweg.node',
  open: () => require('../../../build/Release/thalweg.node'),
}

const prebuilt: Record<string, Candidate> = {
  'linux-x64': {
    path: '../../../prebuilds/linux-x64/thalweg.node',
    open: () => require('../../../prebuilds/linux-x64/thalweg.node'),
  },
  'linux-arm64': {
    path: '../../../prebuilds/linux-arm64/thalweg.node',
    open: () => require('../../../prebuilds/linux-arm64/thalweg.node'),
  },
  'darwin-x64': {
    path: '../../../prebuilds/darwin-x64/thalweg.node',
    open: () => require('../../../prebuilds/darwin-x64/thalweg.node'),
  },
  'darwin-arm64': {
    path: '../../../prebuilds/darwin-arm64/thalweg.node',
    open: () => require('../../../prebuilds/darwin-arm64/thalweg.node'),
  },
}

function findAddon(): LoadedAddon {
  const disabled = process.env.THALWEG_DISABLE_NATIVE
  if (disabled !== undefined && disabled !== '' && disabled !== '0') {
    return { failure: `the environment variable THALWEG_DISABLE_NATIVE is set to "${disabled}"` }
  }
  const platform = `${process.platform}-${process.arch}`
  const candidates = [built, prebuilt[platform]].filter((candidate) => candidate !== undefined)
  const causes: string[] = []
  for (const candidate of candidates) {
    const path = fileURLToPath(new URL(candidate.path, import.meta.url))
    try {
      const addon = candidate.open() as Addon
      if (addon.interfaceVersion === interfaceVersion) {
        useNativeMemory(addon)
        useNativeShuffle(addon.shuffle)
        return { addon }
      }
      causes.push(`${path} was built from another version of the sources (build it again: npx node-gyp rebuild)`)
    } catch (error) {
      causes.push(`${path} ${explain(error, path)}`)
    }
  }
  if (prebuilt[platform] === undefined) causes.push(`no binary is published for ${platform}`)
  return { failure: causes.join('; ') }
}

/** What an error of `require` means for whoever reads the message, with the system's own words where they add something. */
function explain(error: unknown, path: string): string {
  const { code, message } = error as { code?: string; message?: string }
  const words = String(message ?? error).split('\n', 1)[0]
  if (code === 'ERR_DLOPEN_DISABLED') {
    return 'may not be opened, because Node.js runs with addons switched off (--no-addons, or --permission without --allow-addons)'
  }
  // Asked of the file itself, because a library that it needs may be what is missing.
  try {
    if (!existsSync(path)) return 'does not exist'
  } catch {
    return 'may not be read under the permission model of Node.js (--allow-fs-read)'
  }
  if (/GLIBC(XX)?_[\d.]+' not found/.test(words)) return `needs a newer C library than this system has (${words})`
  if (/ld-musl|libc\.musl|Error relocating/.test(words)) {
    return `was built for another C library, glibc or musl, than this system has (${words})`
  }
  // The dynamic linker of Linux says that it cannot open a file that is there when the file is for another processor.
  const elsewhere = /invalid ELF header|wrong ELF class|incompatible architecture|not a mach-o file/i
  if (elsewhere.test(words) || words.includes(`${path}: cannot open shared object file`)) {
    return `was built for another operating system or processor than ${process.platform}-${process.arch} (${words})`
  }
  if (/NODE_MODULE_VERSION|Module version mismatch|did not self-register/i.test(words)) {
    return `is not an addon that this version of Node.js can open (${words})`
  }
  return `could not be opened (${words})`
}
