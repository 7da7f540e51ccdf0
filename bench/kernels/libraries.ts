/** The libraries that products are compared with, those of them that are installed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AnsweringProgram } from './answering.ts'
import { compileCpp } from './compileCpp.ts'

interface Library {
  readonly name: string
  readonly kind: 'openblas' | 'blis' | 'onednn'
  /** File names, the best first. */
  readonly files: readonly string[]
}

/** Where Debian and Ubuntu put libraries, and where the source builds of others do. */
const folders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib', '/opt/homebrew/lib']

const libraries: readonly Library[] = [
  { name: 'OpenBLAS (OpenMP)', kind: 'openblas', files: ['openblas-openmp/libopenblas.so.0', 'libopenblaso.so.0'] },
  { name: 'OpenBLAS (pthread)', kind: 'openblas', files: ['openblas-pthread/libopenblas.so.0', 'libopenblasp.so.0'] },
  { name: 'BLIS', kind: 'blis', files: ['blis-openmp/libblis.so.4', 'blis-openmp/libblas.so.3', 'libblis.so.4', 'libblis.dylib'] },
  { name: 'oneDNN', kind: 'onednn', files: ['libdnnl.so.2', 'libdnnl.so.3', 'libdnnl.dylib'] },
]

/**
 * How the libraries are told to use the instruction set that ours uses. BLIS numbers its kernels, 0 for Skylake with AVX-512 and 3 for
 * Haswell; left alone it takes the slower ones on processors whose name it does not know.
 */
const instructionSets: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  avx512: { BLIS_ARCH_TYPE: '0' },
  avx2: { OPENBLAS_CORETYPE: 'Haswell', BLIS_ARCH_TYPE: '3', DNNL_MAX_CPU_ISA: 'AVX2' },
}

/** y[rows, columns] = a b, or with one of them transposed; contiguous. */
export interface Product {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly seedA: number
  readonly seedB: number
}

/** Who multiplies, one product at a time. */
export interface Multiplier {
  readonly name: string
  /** Version and kernels, in its own words. */
  readonly description: string
  prepare(product: Product): Promise<void>
  /** Seconds of so many calls. A few more, which are not counted, go before them. */
  seconds(calls: number): Promise<number>
  result(): Promise<Float32Array>
  close(): void
}

/**
 * Starts a process for each library found: they export the same names and bring thread pools of their own, and a setting of the
 * environment would hold for all of them. A process that is not asked waits for its input.
 */
export async function startLibraries(threads: number, isa: string): Promise<Multiplier[]> {
  const program = compileCpp('libraries.cc')
  if (program === null) return []
  const found: Multiplier[] = []
  for (const { name, kind, files } of libraries) {
    const path = files.flatMap((file) => folders.map((folder) => join(folder, file))).find(existsSync)
    if (path === undefined) continue
    const count = String(threads)
    const env = { ...process.env, ...instructionSets[isa], OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, BLIS_NUM_THREADS: count }
    const library = new LibraryProcess(threads, new AnsweringProgram(name, program, [kind, path], env))
    if (await library.open()) found.push(library)
  }
  return found
}

class LibraryProcess implements Multiplier {
  readonly name: string
  description = ''
  private readonly threads: number
  private readonly program: AnsweringProgram
  private readonly folder = mkdtempSync(join(tmpdir(), 'thalweg-bench-'))

  constructor(threads: number, program: AnsweringProgram) {
    this.name = program.name
    this.threads = threads
    this.program = program
  }

  /** Whether the library could be opened. */
  async open(): Promise<boolean> {
    const greeting = await this.program.read<{ description: string }>()
    if (greeting === null) {
      console.error(`${this.name} is left out: ${this.program.complaint}`)
      this.close()
      return false
    }
    this.description = greeting.description
    return true
  }

  async prepare({ rows, columns, depth, transposeA, transposeB, seedA, seedB }: Product): Promise<void> {
    await this.program.ask(`product ${rows} ${columns} ${depth} ${Number(transposeA)} ${Number(transposeB)} ${seedA} ${seedB}`)
  }

  async seconds(calls: number): Promise<number> {
    const { cpu, wall } = await this.program.ask<{ cpu: number; wall: number }>(`window ${calls}`)
    return this.threads === 1 ? cpu : wall
  }

  async result(): Promise<Float32Array> {
    const file = join(this.folder, 'result')
    await this.program.ask(`result ${file}`)
    const bytes = readFileSync(file)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  }

  close(): void {
    this.program.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
