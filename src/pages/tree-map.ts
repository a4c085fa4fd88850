/**
 * A rectangle for every size, in proportion to it. The layout is computed here, so that the page needs no library in the
 * browser.
 */

import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy'
import { formatBytes } from '../report/format.ts'
import { percent } from './texts.ts'

/** A folder or package; only a leaf has `bytes`. */
export interface Sized {
  readonly label: string
  /** The complete name, e.g. the path. */
  readonly name: string
  readonly bytes: number
  readonly children: readonly Sized[]
  /** Number of its color. */
  readonly tint: number
}

/** One rectangle. Widths are shares of the map's, which follows the page; heights are pixels. */
export interface Cell {
  readonly x: string
  readonly width: string
  readonly y: number
  readonly height: number
  readonly tint: number
  readonly isGroup: boolean
  readonly title: string
  /** Undefined where there is no room for it. */
  readonly label: string | undefined
  readonly size: string | undefined
}

export interface TreeMap {
  readonly height: number
  readonly cells: readonly Cell[]
}

/** Width of the page on a typical screen: determines where there is room for a label. */
const usualWidth = 860

export function layOut(root: Sized, height: number): TreeMap {
  const tree = hierarchy<Sized>(root, ({ children }) => [...children])
    .sum(({ bytes, children }) => (children.length === 0 ? bytes : 0))
    .sort((a, b) => (b.value ?? 0) - (a.value ?? 0))
  const placed = treemap<Sized>()
    .size([usualWidth, height])
    .tile(treemapSquarify.ratio(1.6))
    .paddingInner(1)
    .paddingTop(({ depth }) => (depth === 0 ? 0 : 15))
    .paddingRight(({ depth }) => (depth === 0 ? 0 : 2))
    .paddingBottom(({ depth }) => (depth === 0 ? 0 : 2))
    .paddingLeft(({ depth }) => (depth === 0 ? 0 : 2))(tree)
  const cells = placed.descendants().flatMap(({ data, value = 0, children, depth, x0, x1, y0, y1 }) => {
    const [width, tall] = [x1 - x0, y1 - y0]
    if (depth === 0 || width < 0.5 || tall < 0.5) return []
    const size = formatBytes(value)
    const isGroup = children !== undefined
    const hasLabel = width > 22 && tall >= 13
    return {
      x: percent(x0 / usualWidth),
      width: percent(width / usualWidth),
      y: Number(y0.toFixed(2)),
      height: Number(tall.toFixed(2)),
      tint: data.tint,
      isGroup,
      title: `${data.name}: ${size}`,
      label: hasLabel ? (isGroup ? `${data.label}  ${size}` : data.label) : undefined,
      size: hasLabel && !isGroup && tall >= 28 ? size : undefined,
    }
  })
  return { height, cells }
}
