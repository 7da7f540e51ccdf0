import { concrete, formatShape, sizeOf } from '../graph/shape.ts'
import { ancestors, type Scope, type Tensor } from '../graph/tensor.ts'
import type { Model } from './model.ts'
import type { NamedVariable } from './names.ts'

/** A table: layer, output shape, parameters, and how many of them are frozen, if any are; then the total and its size in memory. */
export function summarize(model: Model): string {
  const last = new Map<Scope, Tensor>()
  for (const node of ancestors(model.outputs)) if (node.scope !== null && !isState(node)) last.set(node.scope, node)
  const trainable = sizeOfAll(model.trainableParameters)
  const frozen = model.parameterCount - trainable
  const rows = [...last].map(([scope, tensor]) => {
    const own = sizeOfAll(model.parameters, scope)
    const held = own - sizeOfAll(model.trainableParameters, scope)
    return [model.layerNames.get(scope) ?? scope.kind, scope.kind, formatShape(tensor.shape), grouped(own), grouped(held)]
  })
  const columns = frozen === 0 ? 4 : 5
  const table = [['layer', 'kind', 'output shape', 'parameters', 'frozen'], ...rows].map((row) => row.slice(0, columns))
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  const lines = table.map((row) =>
    row.map((cell, column) => (column >= 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  '),
  )
  lines.splice(1, 0, widths.map((width) => '─'.repeat(width)).join('  '))
  const size = `${((model.parameterCount * 4) / 1024).toLocaleString('en-US', { maximumFractionDigits: 1 })} KiB`
  return `${lines.join('\n')}\n\n${grouped(trainable)} trainable parameters${frozen === 0 ? '' : `, ${grouped(frozen)} frozen`}, ${size}\n`
}

/** How many numbers parameters have, or those of a layer. */
function sizeOfAll(parameters: readonly NamedVariable[], scope?: Scope): number {
  const counted = parameters.filter(({ variable }) => scope === undefined || variable.scope === scope)
  return counted.reduce((sum, { variable }) => sum + sizeOf(concrete(variable.shape)), 0)
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

function isState(node: Tensor): boolean {
  return node.inputs.length === 0 && node.op.name !== 'input'
}
