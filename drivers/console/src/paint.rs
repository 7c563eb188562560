//! Cells to pixels.

use crate::font::{Font, HEIGHT, WIDTH};
use crate::screen::{Cell, Screen};
use alloc::vec;
use alloc::vec::Vec;

/// Where pixels go: the mapped framebuffer, or a vector in a test.
pub trait Surface {
    /// Pixels in a row, and rows.
    fn size(&self) -> (usize, usize);
    /// Writes pixels (0xRRGGBB) from `x` on in row `y`; inside the surface.
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]);
}

/// Paints a screen on a surface, keeping count of the cursor it drew.
#[derive(Default)]
pub struct Painter {
    font: Font,
    line: Vec<u32>,
    cursor: Option<(usize, usize)>,
}

/// Columns and rows of cells that fit a surface.
pub fn cells(size: (usize, usize)) -> (usize, usize) {
    (size.0 / WIDTH, size.1 / HEIGHT)
}

impl Painter {
    /// Paints what changed.
    pub fn paint(&mut self, screen: &mut Screen, surface: &mut dyn Surface) {
        let mut rows = screen.take_dirty();
        let cursor = screen.cursor();
        if cursor != self.cursor {
            for (_, row) in self.cursor.into_iter().chain(cursor) {
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
            self.cursor = cursor;
        }
        for row in rows {
            let at = cursor.filter(|c| c.1 == row).map(|c| c.0);
            self.row(screen.row(row), at, row.saturating_mul(HEIGHT), surface);
        }
    }

    fn row(&mut self, cells: &[Cell], cursor: Option<usize>, top: usize, surface: &mut dyn Surface) {
        let mut line = core::mem::take(&mut self.line);
        let glyphs: Vec<_> = cells.iter().map(|c| self.font.rows(c.character)).collect();
        line.resize(cells.len().saturating_mul(WIDTH), 0);
        for y in 0..HEIGHT {
            for (column, ((cell, glyph), pixels)) in
                cells.iter().zip(&glyphs).zip(line.chunks_exact_mut(WIDTH)).enumerate()
            {
                let mut bits = glyph.get(y).copied().unwrap_or(0);
                // The cursor: the cell's last two rows in the foreground.
                if cursor == Some(column) && y >= HEIGHT.saturating_sub(2) {
                    bits = 0xff;
                }
                for pixel in pixels {
                    *pixel = if bits & 0x80 != 0 { cell.foreground } else { cell.background };
                    bits <<= 1;
                }
            }
            surface.put(0, top.saturating_add(y), &line);
        }
        self.line = line;
    }
}

/// A surface in memory.
pub struct Canvas {
    width: usize,
    pixels: Vec<u32>,
}

impl Canvas {
    /// A black canvas.
    pub fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, pixels: vec![0; width.saturating_mul(height)] }
    }
    /// One pixel.
    pub fn pixel(&self, x: usize, y: usize) -> Option<u32> {
        self.pixels.get(y.saturating_mul(self.width).saturating_add(x)).copied()
    }
}

impl Surface for Canvas {
    fn size(&self) -> (usize, usize) {
        (self.width, self.pixels.len().checked_div(self.width).unwrap_or(0))
    }
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let start = y.saturating_mul(self.width).saturating_add(x);
        if let Some(row) = self.pixels.get_mut(start..start.saturating_add(pixels.len())) {
            row.copy_from_slice(pixels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{cells, Canvas, Painter};
    use crate::font::{Font, HEIGHT, WIDTH};
    use crate::screen::{Screen, BACKGROUND, FOREGROUND};

    #[test]
    fn every_painted_cell_matches_its_glyph() {
        let mut canvas = Canvas::new(80, 40);
        let (columns, rows) = cells((80, 40));
        assert_eq!((columns, rows), (10, 2));
        let mut screen = Screen::new(columns, rows);
        screen.write(b"Ag#\x1b[?25l");
        Painter::default().paint(&mut screen, &mut canvas);
        let font = Font::new();
        for (i, c) in "Ag# ".chars().enumerate() {
            for (y, row) in font.rows(c).iter().enumerate() {
                for x in 0..WIDTH {
                    let expected = if row >> (7 - x) & 1 == 1 { FOREGROUND } else { BACKGROUND };
                    assert_eq!(canvas.pixel(i * WIDTH + x, y), Some(expected), "{c} {x} {y}");
                }
            }
        }
        assert_eq!(canvas.pixel(0, 2 * HEIGHT), Some(0), "what is below the last row of cells stays");
    }
}
