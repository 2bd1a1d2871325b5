/**
 * Divide an image into tiles whose outputs, put together, equal the output for the whole image.
 * This is `burnish/runtime/tiles.py`: the same grid gives the same tiles.
 */

/** @typedef {{top: number, bottom: number, left: number, right: number}} Rectangle */
/** @typedef {{core: Rectangle, padded: Rectangle}} Tile */

export const roundUp = (length, multiple) => Math.ceil(length / multiple) * multiple;

/** The size of an image, and what its network needs, in px. */
export class TileGrid {
  constructor(height, width, halo, sizeMultiple) {
    Object.assign(this, {height, width, halo, sizeMultiple});
    this.paddedHeight = roundUp(height, sizeMultiple);
    this.paddedWidth = roundUp(width, sizeMultiple);
    this.alignedHalo = roundUp(halo, sizeMultiple);
    const side = 3 * this.alignedHalo || sizeMultiple;
    /** Area of the smallest padded tile. */
    this.minPixels = Math.min(side, this.paddedHeight) * Math.min(side, this.paddedWidth);
  }

  /** Return a core with its halo, clipped at the border of the padded image. */
  withHalo(core) {
    return {
      top: Math.max(0, core.top - this.alignedHalo),
      bottom: Math.min(this.paddedHeight, core.bottom + this.alignedHalo),
      left: Math.max(0, core.left - this.alignedHalo),
      right: Math.min(this.paddedWidth, core.right + this.alignedHalo),
    };
  }

  /** Return the tile whose core holds a rectangle. */
  around({top, bottom, left, right}) {
    const m = this.sizeMultiple;
    const down = (value) => Math.floor(value / m) * m;
    const core = {top: down(top), bottom: roundUp(bottom, m), left: down(left), right: roundUp(right, m)};
    return {core, padded: this.withHalo(core)};
  }
}

/**
 * Cover an image with tiles of nearly equal size, in reading order. Among the divisions within the
 * limit, the one with the least work in halos is chosen.
 * @param {TileGrid} grid
 * @param {number} maxPixels largest area of a padded tile, at least the grid's `minPixels`
 * @returns {Tile[]}
 */
export function planTiles(grid, maxPixels) {
  const [rows, columns] = numTiles(grid, maxPixels);
  const tiles = [];
  for (const [top, bottom] of split(grid.paddedHeight, rows, grid.sizeMultiple)) {
    for (const [left, right] of split(grid.paddedWidth, columns, grid.sizeMultiple)) {
      const core = {top, bottom, left, right};
      tiles.push({core, padded: grid.withHalo(core)});
    }
  }
  return tiles;
}

function numTiles(grid, maxPixels) {
  const {paddedHeight: height, paddedWidth: width, alignedHalo: halo} = grid;
  let best = null;
  for (let columns = 1; columns <= maxTiles(width, grid); columns++) {
    const coreWidth = roundUp(Math.ceil(width / columns), grid.sizeMultiple);
    const tileWidth = Math.min(width, coreWidth + 2 * halo);
    const rows = numRows(grid, Math.floor(maxPixels / tileWidth), height);
    if (rows === null) continue;
    const tileHeight = Math.min(height, Math.ceil(height / rows) + 2 * halo);
    const work = rows * columns * tileWidth * tileHeight;
    if (!best || work < best[0] || (work === best[0] && rows < best[1])) best = [work, rows, columns];
  }
  if (!best) throw new RangeError('the limit is below the smallest tile');
  return [best[1], best[2]];
}

function numRows(grid, maxHeight, height) {
  if (maxHeight >= grid.paddedHeight) return 1;
  const multiple = grid.sizeMultiple;
  const coreHeight = Math.floor((maxHeight - 2 * grid.alignedHalo) / multiple) * multiple;
  if (coreHeight < 1) return null;
  const rows = Math.ceil(height / coreHeight);
  return rows <= maxTiles(height, grid) ? rows : null;
}

const maxTiles = (length, grid) => Math.ceil(length / Math.max(grid.alignedHalo, grid.sizeMultiple));

function* split(end, parts, multiple) {
  const edge = (i) => multiple * Math.floor((Math.floor(end / multiple) * i) / parts);
  for (let i = 0; i < parts; i++) yield [edge(i), edge(i + 1)];
}
