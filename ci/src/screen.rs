//! Reads text off a screen dump, cell by cell, with the console's own font.
//!
//! A cell matches a character when its pixels are exactly the glyph's, in two colours, either
//! of them the background. A single pixel out of place is no match, so "the prompt is there"
//! means that every cell of it is.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};

/// A cell's width in pixels.
pub const CELL_WIDTH: usize = 8;
/// A cell's height in pixels.
pub const CELL_HEIGHT: usize = 16;

/// One glyph: a byte a row, the highest bit leftmost.
pub type Glyph = [u8; CELL_HEIGHT];

/// Stands for a cell that no glyph matches.
pub const UNKNOWN: char = '\u{FFFD}';

/// What the screen showed.
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a PNG file.
    ///
    /// # Errors
    /// When it can't be read, or is no RGB picture.
    pub fn load(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(Error::host(format!("opening {}", path.display())))?;
        let bad = |error: png::DecodingError| Error::Protocol(format!("{}: {error}", path.display()));
        let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(bad)?;
        let size = reader.output_buffer_size().ok_or_else(|| Error::Protocol("the picture is too large".into()))?;
        let mut bytes = vec![0; size];
        let info = reader.next_frame(&mut bytes).map_err(bad)?;
        let samples = match info.color_type {
            png::ColorType::Rgb => 3,
            png::ColorType::Rgba => 4,
            other => return Err(Error::Protocol(format!("{}: {other:?}, not RGB", path.display()))),
        };
        let rgb = bytes[..info.buffer_size()].chunks_exact(samples).map(|p| [p[0], p[1], p[2]]).collect();
        Ok(Self { width: info.width as usize, height: info.height as usize, rgb })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The text on the screen, a line a row of cells, the first cell's corner at `origin`.
    /// `glyph` gives the font's picture of a character.
    pub fn text(&self, origin: (usize, usize), glyph: impl Fn(char) -> Option<Glyph>) -> Vec<String> {
        let mut known: HashMap<Glyph, char> = HashMap::new();
        for character in (' '..='~').filter(|&c| c != ' ') {
            if let Some(picture) = glyph(character) {
                known.entry(picture).or_insert(character);
            }
        }
        let columns = self.width.saturating_sub(origin.0) / CELL_WIDTH;
        let rows = self.height.saturating_sub(origin.1) / CELL_HEIGHT;
        (0..rows)
            .map(|row| {
                (0..columns)
                    .map(|column| self.read_cell(origin.0 + column * CELL_WIDTH, origin.1 + row * CELL_HEIGHT, &known))
                    .collect()
            })
            .collect()
    }

    fn read_cell(&self, left: usize, top: usize, known: &HashMap<Glyph, char>) -> char {
        let pixel = |x: usize, y: usize| self.rgb[(top + y) * self.width + left + x];
        let first = pixel(0, 0);
        let mut second = None;
        let mut picture: Glyph = [0; CELL_HEIGHT];
        for (y, row) in picture.iter_mut().enumerate() {
            for x in 0..CELL_WIDTH {
                let colour = pixel(x, y);
                if colour == first {
                    continue;
                }
                if *second.get_or_insert(colour) != colour {
                    return UNKNOWN; // a third colour is no glyph of ours
                }
                *row |= 0x80 >> x;
            }
        }
        if second.is_none() {
            return ' ';
        }
        let inverse = picture.map(|row| !row);
        known.get(&picture).or_else(|| known.get(&inverse)).copied().unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A font whose glyph of a character spells its code in the rows.
    fn glyph(character: char) -> Option<Glyph> {
        let code = u8::try_from(character).ok()?;
        Some(std::array::from_fn(|row| if row == 3 { code } else { 0 }))
    }

    fn paint(text: &str, ink: [u8; 3], paper: [u8; 3]) -> Picture {
        let (width, height) = (text.len() * CELL_WIDTH + 3, CELL_HEIGHT + 5);
        let mut rgb = vec![paper; width * height];
        for (cell, character) in text.chars().enumerate() {
            for (y, row) in glyph(character).unwrap().iter().enumerate() {
                for x in (0..CELL_WIDTH).filter(|x| character != ' ' && row & (0x80 >> x) != 0) {
                    rgb[y * width + cell * CELL_WIDTH + x] = ink;
                }
            }
        }
        Picture { width, height, rgb }
    }

    #[test]
    fn text_is_read_back_in_any_two_colours() {
        for (ink, paper) in [([255; 3], [0; 3]), ([9, 9, 40], [250, 250, 200])] {
            assert_eq!(paint("limitless# ", ink, paper).text((0, 0), glyph), ["limitless# "]);
        }
    }

    #[test]
    fn one_wrong_pixel_is_no_match() {
        let mut picture = paint("ab", [255; 3], [0; 3]);
        picture.rgb[7 * picture.width + 1] = [255; 3];
        assert_eq!(picture.text((0, 0), glyph), [format!("{UNKNOWN}b")]);
        picture.rgb[7 * picture.width + 1] = [255, 0, 0];
        assert_eq!(picture.text((0, 0), glyph), [format!("{UNKNOWN}b")]);
    }

    #[test]
    fn a_png_from_a_file_is_read_pixel_by_pixel() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.png");
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 2, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&[1, 2, 3, 4, 5, 6]).unwrap();
        let picture = Picture::load(&path).unwrap();
        assert_eq!(picture.size(), (2, 1));
        assert_eq!(picture.rgb, [[1, 2, 3], [4, 5, 6]]);
        assert!(Picture::load(&dir.path().join("none.png")).is_err());
    }
}
