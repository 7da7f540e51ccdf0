const FRAME_MAGIC = 0x184d2204

/**
 * What an LZ4 frame holds (LZ4 frame format 1.6.4). Checksums are not compared: what they guard is checked where it is used.
 *
 * @throws Error if it is damaged.
 */
export function decodeLz4Frame(bytes: Uint8Array): Uint8Array {
  const blocks = blocksOf(bytes)
  const output = new Uint8Array(blocks.reduce((sum, { limit }) => sum + limit, 0))
  let written = 0
  for (const { data, isCompressed } of blocks) {
    if (isCompressed) written = decodeLz4Block(data, output, written)
    else {
      output.set(data, written)
      written += data.length
    }
  }
  return output.slice(0, written)
}

interface Block {
  readonly data: Uint8Array
  readonly isCompressed: boolean
  /** How many bytes it holds at most. */
  readonly limit: number
}

function blocksOf(bytes: Uint8Array): Block[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 7 || view.getUint32(0, true) !== FRAME_MAGIC) throw damaged('they do not begin as a frame')
  const flags = bytes[4]
  if (flags >> 6 !== 1) throw damaged(`version ${flags >> 6} of the format is not known`)
  if (flags & 1) throw damaged('they need a dictionary')
  const checksum = flags & 0x10 ? 4 : 0
  const largest = 2 ** (8 + 2 * ((bytes[5] >> 4) & 7))
  const blocks: Block[] = []
  for (let position = flags & 8 ? 15 : 7; ; ) {
    if (position + 4 > bytes.length) throw damaged('they end before the last block')
    const size = view.getUint32(position, true)
    if (size === 0) return blocks
    const start = position + 4
    position = start + (size & 0x7fffffff)
    if (position > bytes.length) throw damaged('a block is longer than what is there')
    const data = bytes.subarray(start, position)
    const isCompressed = size >>> 31 === 0
    // A byte of a length stands for 255 bytes at most.
    blocks.push({ data, isCompressed, limit: isCompressed ? Math.min(largest, 255 * data.length) : data.length })
    position += checksum
  }
}

/** Appends what an LZ4 block holds to the first `written` bytes of `output`, on which it may build; returns how many there are then. */
export function decodeLz4Block(block: Uint8Array, output: Uint8Array, written = 0): number {
  let position = 0
  const lengthFrom = (start: number) => {
    let length = start
    if (start < 15) return length
    for (;;) {
      if (position >= block.length) throw damaged('a block ends within a length')
      const more = block[position++]
      length += more
      if (more < 255) return length
    }
  }
  while (position < block.length) {
    const token = block[position++]
    const literals = lengthFrom(token >> 4)
    if (position + literals > block.length) throw damaged('a block ends within its literals')
    if (written + literals > output.length) throw damaged('they hold more than they should')
    output.set(block.subarray(position, position + literals), written)
    position += literals
    written += literals
    if (position === block.length) break
    if (position + 2 > block.length) throw damaged('a block ends within an offset')
    const offset = block[position] | (block[position + 1] << 8)
    position += 2
    const length = lengthFrom(token & 15) + 4
    if (offset === 0 || offset > written) throw damaged('an offset points before the first byte')
    if (written + length > output.length) throw damaged('they hold more than they should')
    // NOTE: byte by byte, because a match may overlap what it writes.
    if (offset >= length) output.copyWithin(written, written - offset, written - offset + length)
    else for (let i = 0; i < length; i++) output[written + i] = output[written + i - offset]
    written += length
  }
  return written
}

function damaged(why: string): Error {
  return new Error(`the LZ4 data are damaged: ${why}`)
}
