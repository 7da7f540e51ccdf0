// Plain JavaScript, because in Node.js 20 the loader of the parent thread does not make a worker read TypeScript.
import { register } from 'tsx/esm/api'

register()
const { serve } = await import('./workers.ts')
serve()
