import { bestWeights, earlyStopping } from './earlyStopping.ts'
import { csvLog, jsonLinesLog } from './logs.ts'
import { reduceOnPlateau } from './reduceOnPlateau.ts'
import { tensorBoard } from './tensorBoard.ts'

/**
 * What may happen beside training: each call gives a `Callback`, for the option `callbacks` of fit.
 *
 * @example callbacks.earlyStopping({ patience: 3 })
 */
export const callbacks = { bestWeights, csvLog, earlyStopping, jsonLinesLog, reduceOnPlateau, tensorBoard }
