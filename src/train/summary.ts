import { concrete, formatShape, sizeOf } from '../graph/shape.ts'
import { ancestors, type Scope, type Tensor } from '../graph/tensor.ts'
import type { Model } from './model.ts'

/** A table: layer, output shape, parameters; then the total and its size in memory. */
export function summarize(model: Model): string {
  const last = new Map<Scope, Tensor>()
  for (const node of ancestors(model.outputs)) if (node.scope !== null && !isState(node)) last.set(node.scope, node)
  const rows = [...last].map(([scope, tensor]) => {
    const own = model.parameters.filter(({ variable }) => variable.scope === scope)
    const count = own.reduce((sum, { variable }) => sum + sizeOf(concrete(variable.shape)), 0)
    return [model.layerNames.get(scope) ?? scope.kind, scope.kind, formatShape(tensor.shape), count.toLocaleString('en-US')]
  })
  const table = [['layer', 'kind', 'output shape', 'parameters'], ...rows]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  const lines = table.map((row) =>
    row.map((cell, column) => (column === 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  '),
  )
  lines.splice(1, 0, widths.map((width) => '─'.repeat(width)).join('  '))
  const total = model.parameterCount
  return `${lines.join('\n')}\n\n${total.toLocaleString('en-US')} trainable parameters, ${((total * 4) / 1024).toLocaleString('en-US', { maximumFractionDigits: 1 })} KiB\n`
}

function isState(node: Tensor): boolean {
  return node.inputs.length === 0 && node.op.name !== 'input'
}
