//! The console's glyphs: 8 × 16 pixels, one byte a row, the leftmost pixel in
//! the highest bit.
//!
//! The font is Spleen by Frederic Cambus (BSD-2-Clause), taken from the crate `spleen-font`,
//! whose own
//! reader is not used: version 0.2.0 takes the file for PSF2, which it is not, and finds no `$`.

use alloc::vec::Vec;
use spleen_font::FONT_8X16;

/// Pixels in a row of a cell.
pub const WIDTH: usize = 8;
/// Rows in a cell.
pub const HEIGHT: usize = 16;

/// The rows of a glyph.
pub type Rows = [u8; HEIGHT];

/// A loaded font.
pub struct Font {
    /// Glyphs by character, sorted.
    glyphs: Vec<(char, Rows)>,
    ascii: [Rows; 128],
}

impl Default for Font {
    fn default() -> Self {
        Font::new()
    }
}

/// The glyphs of a PSF1 file with a Unicode table, by character; `None` where it is not one of 16 rows.
///
/// Header: 0x36 0x04, mode (bit 0: 512 glyphs, bit 1: a table follows), bytes a glyph; the glyphs; then for
/// each the characters it stands for as u16, ended by 0xffff (0xfffe begins sequences, which are
/// passed over). Source: the kbd project's `psf.h`.
fn glyphs(file: &[u8]) -> Option<Vec<(char, Rows)>> {
    let (header, rest) = file.split_at_checked(4)?;
    let [0x36, 0x04, mode, size] = *header else { return None };
    if usize::from(size) != HEIGHT || mode & 2 == 0 {
        return None;
    }
    let count: usize = if mode & 1 == 0 { 256 } else { 512 };
    let (bitmaps, table) = rest.split_at_checked(count.checked_mul(HEIGHT)?)?;
    let codes: Vec<u16> = table.chunks_exact(2).filter_map(|b| Some(u16::from_le_bytes(b.try_into().ok()?))).collect();
    let mut out = Vec::new();
    for (bitmap, names) in bitmaps.chunks_exact(HEIGHT).zip(codes.split(|c| *c == 0xffff)) {
        let rows: Rows = bitmap.try_into().ok()?;
        let names = names.split(|c| *c == 0xfffe).next().unwrap_or(&[]);
        out.extend(names.iter().filter_map(|c| char::from_u32(u32::from(*c))).map(|c| (c, rows)));
    }
    out.sort_unstable_by_key(|g| g.0);
    Some(out)
}

impl Font {
    /// Loads the font that is built in.
    pub fn new() -> Font {
        let mut font = Font { glyphs: glyphs(FONT_8X16).unwrap_or_default(), ascii: [[0; HEIGHT]; 128] };
        for code in 0x20..0x7f_u8 {
            let rows = font.look_up(char::from(code));
            if let (Some(slot), Some(rows)) = (font.ascii.get_mut(usize::from(code)), rows) {
                *slot = rows;
            }
        }
        font
    }

    fn look_up(&self, c: char) -> Option<Rows> {
        let at = self.glyphs.binary_search_by_key(&c, |g| g.0).ok()?;
        self.glyphs.get(at).map(|g| g.1)
    }

    /// The rows of a character; a hollow box for what the font lacks.
    pub fn rows(&self, c: char) -> Rows {
        if let Some(rows) = self.ascii.get(c as usize) {
            return *rows;
        }
        const BOX: Rows = [0, 0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7e, 0, 0, 0, 0];
        self.look_up(c).unwrap_or(BOX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Font, HEIGHT};

    #[test]
    fn printable_characters_have_glyphs_of_their_own() {
        let font = Font::new();
        let mut seen = std::collections::HashSet::new();
        for code in 0x21..0x7f_u8 {
            let rows = font.rows(char::from(code));
            assert!(rows != [0; HEIGHT], "{code:#x} is blank");
            assert!(seen.insert(rows), "{code:#x} looks like another");
        }
        assert_eq!(font.rows(' '), [0; HEIGHT]);
        assert_ne!(font.rows('é'), font.rows('\u{ffff}'));
    }
}
