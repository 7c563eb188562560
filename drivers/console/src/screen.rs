//! The terminal on the framebuffer: cells, a cursor, and the escape sequences
//! that move it.
//!
//! Understands what `TERM=linux` programs use most (ECMA-48; xterm's control sequences): cursor motion,
//! erasing, inserting and deleting, scroll regions, the 16 colours and the 256-colour table,
//! save and restore. What it does not know it ignores.

use alloc::vec;
use alloc::vec::Vec;
use vte::{Params, Parser, Perform};

/// One character cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is shown.
    pub character: char,
    /// Foreground, 0xRRGGBB.
    pub foreground: u32,
    /// Background, 0xRRGGBB.
    pub background: u32,
}

/// The foreground a fresh terminal has.
pub const FOREGROUND: u32 = 0x00d0_d0d0;
/// The background a fresh terminal has.
pub const BACKGROUND: u32 = 0x0010_1418;

/// The 16 basic colours, normal then bright.
const COLOURS: [u32; 16] = [
    0x0010_1418,
    0x00c9_4f4f,
    0x005f_af5f,
    0x00c0_a050,
    0x005f_87d7,
    0x00af_6fbf,
    0x0050_a8a8,
    0x00d0_d0d0, //
    0x0060_6870,
    0x00ff_7070,
    0x0080_e080,
    0x00ff_e080,
    0x0080_b0ff,
    0x00e0_90f0,
    0x0070_e0e0,
    0x00ff_ffff,
];

#[derive(Clone, Copy)]
struct Pen {
    foreground: u32,
    background: u32,
    bold: bool,
    inverse: bool,
}

const PLAIN: Pen = Pen { foreground: FOREGROUND, background: BACKGROUND, bold: false, inverse: false };

struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    dirty: Vec<bool>,
    column: usize,
    row: usize,
    /// The cursor stands past the last column: the next character wraps.
    wrap: bool,
    pen: Pen,
    top: usize,
    bottom: usize,
    saved: (usize, usize),
    cursor_shown: bool,
    replies: Vec<u8>,
}

/// A terminal of fixed size.
pub struct Screen {
    grid: Grid,
    parser: Parser,
}

impl Screen {
    /// A blank terminal; at least 1 × 1.
    pub fn new(columns: usize, rows: usize) -> Screen {
        let (columns, rows) = (columns.max(1), rows.max(1));
        let blank = Cell { character: ' ', foreground: FOREGROUND, background: BACKGROUND };
        let grid = Grid {
            columns,
            rows,
            cells: vec![blank; columns.saturating_mul(rows)],
            dirty: vec![true; rows],
            column: 0,
            row: 0,
            wrap: false,
            pen: PLAIN,
            top: 0,
            bottom: rows.saturating_sub(1),
            saved: (0, 0),
            cursor_shown: true,
            replies: Vec::new(),
        };
        Screen { grid, parser: Parser::new() }
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.grid.columns, self.grid.rows)
    }

    /// Shows bytes that a program wrote.
    pub fn write(&mut self, bytes: &[u8]) {
        let before = self.grid.row;
        self.parser.advance(&mut self.grid, bytes);
        self.grid.touch(before);
        self.grid.touch(self.grid.row);
    }

    /// Answers to queries (cursor position, identity), to be put into the input.
    pub fn take_replies(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.grid.replies)
    }

    /// The cells of a row.
    pub fn row(&self, row: usize) -> &[Cell] {
        let start = row.saturating_mul(self.grid.columns);
        self.grid.cells.get(start..start.saturating_add(self.grid.columns)).unwrap_or(&[])
    }

    /// Column and row of the cursor, when it is shown.
    pub fn cursor(&self) -> Option<(usize, usize)> {
        self.grid.cursor_shown.then_some((self.grid.column.min(self.grid.columns.saturating_sub(1)), self.grid.row))
    }

    /// The rows changed since the last time, which are then clean.
    pub fn take_dirty(&mut self) -> Vec<usize> {
        let rows = self.grid.dirty.iter().enumerate().filter(|(_, d)| **d).map(|(i, _)| i).collect();
        self.grid.dirty.fill(false);
        rows
    }
}

impl Grid {
    fn touch(&mut self, row: usize) {
        if let Some(dirty) = self.dirty.get_mut(row) {
            *dirty = true;
        }
    }

    fn blank(&self) -> Cell {
        Cell { character: ' ', foreground: self.pen.foreground, background: self.pen.background }
    }

    fn index(&self, row: usize, column: usize) -> usize {
        row.saturating_mul(self.columns).saturating_add(column)
    }

    /// Blanks columns `from..to` of a row.
    fn erase(&mut self, row: usize, from: usize, to: usize) {
        let blank = self.blank();
        let range = self.index(row, from)..self.index(row, to.min(self.columns));
        if let Some(cells) = self.cells.get_mut(range) {
            cells.fill(blank);
        }
        self.touch(row);
    }

    /// Moves rows `top..=bottom` up by `by` (down when `up` is false) and blanks what comes free.
    fn scroll(&mut self, top: usize, bottom: usize, by: usize, up: bool) {
        let height = bottom.saturating_sub(top).saturating_add(1);
        let by = by.min(height);
        let (start, end) = (self.index(top, 0), self.index(bottom, self.columns));
        let cells = by.saturating_mul(self.columns);
        if up {
            self.cells.copy_within(start.saturating_add(cells)..end, start);
        } else {
            self.cells.copy_within(start..end.saturating_sub(cells), start.saturating_add(cells));
        }
        for i in 0..by {
            let row = if up { bottom.saturating_sub(i) } else { top.saturating_add(i) };
            self.erase(row, 0, self.columns);
        }
        for row in top..=bottom {
            self.touch(row);
        }
    }

    fn line_feed(&mut self) {
        self.touch(self.row);
        if self.row == self.bottom {
            self.scroll(self.top, self.bottom, 1, true);
        } else if self.row < self.rows.saturating_sub(1) {
            self.row = self.row.saturating_add(1);
        }
        self.touch(self.row);
    }

    fn go(&mut self, column: usize, row: usize) {
        self.touch(self.row);
        self.column = column.min(self.columns.saturating_sub(1));
        self.row = row.min(self.rows.saturating_sub(1));
        self.wrap = false;
        self.touch(self.row);
    }

    /// Inserts (or deletes) `count` cells at the cursor.
    fn shift(&mut self, count: usize, insert: bool) {
        let count = count.min(self.columns.saturating_sub(self.column));
        let (start, end) = (self.index(self.row, self.column), self.index(self.row, self.columns));
        if insert {
            self.cells.copy_within(start..end.saturating_sub(count), start.saturating_add(count));
            self.erase(self.row, self.column, self.column.saturating_add(count));
        } else {
            self.cells.copy_within(start.saturating_add(count)..end, start);
            self.erase(self.row, self.columns.saturating_sub(count), self.columns);
        }
    }

    fn select(&mut self, params: &Params) {
        let flat: Vec<u16> = params.iter().flatten().copied().collect();
        let mut rest = flat.iter().copied();
        if flat.is_empty() {
            self.pen = PLAIN;
        }
        while let Some(code) = rest.next() {
            let basic = |n: u16| COLOURS.get(usize::from(n)).copied().unwrap_or(FOREGROUND);
            match code {
                0 => self.pen = PLAIN,
                1 => self.pen.bold = true,
                22 => self.pen.bold = false,
                7 => self.pen.inverse = true,
                27 => self.pen.inverse = false,
                30..=37 => {
                    self.pen.foreground = basic(code.saturating_sub(if self.pen.bold { 22 } else { 30 }));
                }
                90..=97 => self.pen.foreground = basic(code.saturating_sub(82)),
                40..=47 => self.pen.background = basic(code.saturating_sub(40)),
                100..=107 => self.pen.background = basic(code.saturating_sub(92)),
                39 => self.pen.foreground = FOREGROUND,
                49 => self.pen.background = BACKGROUND,
                38 | 48 => {
                    let colour = match (rest.next(), rest.next()) {
                        (Some(5), Some(n)) => Some(palette(n)),
                        (Some(2), Some(r)) => match (rest.next(), rest.next()) {
                            (Some(g), Some(b)) => {
                                Some((u32::from(r & 255) << 16) | (u32::from(g & 255) << 8) | u32::from(b & 255))
                            }
                            _ => None,
                        },
                        _ => None,
                    };
                    match (colour, code) {
                        (Some(colour), 38) => self.pen.foreground = colour,
                        (Some(colour), _) => self.pen.background = colour,
                        (None, _) => return,
                    }
                }
                _ => {}
            }
        }
    }
}

/// The 256-colour table: 16 basic, a 6 × 6 × 6 cube, 24 greys.
fn palette(n: u16) -> u32 {
    let level = |v: u16| if v == 0 { 0 } else { u32::from(v).saturating_mul(40).saturating_add(55) };
    match n {
        0..=15 => COLOURS.get(usize::from(n)).copied().unwrap_or(FOREGROUND),
        16..=231 => {
            let n = n.saturating_sub(16);
            (level(n / 36) << 16) | (level(n / 6 % 6) << 8) | level(n % 6)
        }
        _ => u32::from(n.min(255).saturating_sub(232)).saturating_mul(10).saturating_add(8).saturating_mul(0x01_0101),
    }
}

impl Perform for Grid {
    fn print(&mut self, c: char) {
        if self.wrap {
            self.column = 0;
            self.wrap = false;
            self.line_feed();
        }
        let (mut foreground, mut background) = (self.pen.foreground, self.pen.background);
        if self.pen.inverse {
            core::mem::swap(&mut foreground, &mut background);
        }
        let at = self.index(self.row, self.column);
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = Cell { character: c, foreground, background };
        }
        self.touch(self.row);
        if self.column.saturating_add(1) >= self.columns {
            self.wrap = true;
        } else {
            self.column = self.column.saturating_add(1);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' | 0x0b | 0x0c => {
                self.wrap = false;
                self.line_feed();
            }
            b'\r' => self.go(0, self.row),
            0x08 => self.go(self.column.saturating_sub(1), self.row),
            b'\t' => self.go((self.column | 7).saturating_add(1), self.row),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        let raw = |i: usize| params.iter().nth(i).and_then(|p| p.first()).copied().unwrap_or(0);
        let count = |i: usize| usize::from(raw(i).max(1));
        let private = intermediates.first() == Some(&b'?');
        match (action, private) {
            ('A', false) => self.go(self.column, self.row.saturating_sub(count(0))),
            ('B' | 'e', false) => self.go(self.column, self.row.saturating_add(count(0))),
            ('C' | 'a', false) => self.go(self.column.saturating_add(count(0)), self.row),
            ('D', false) => self.go(self.column.saturating_sub(count(0)), self.row),
            ('E', false) => self.go(0, self.row.saturating_add(count(0))),
            ('F', false) => self.go(0, self.row.saturating_sub(count(0))),
            ('G' | '`', false) => self.go(count(0).saturating_sub(1), self.row),
            ('d', false) => self.go(self.column, count(0).saturating_sub(1)),
            ('H' | 'f', false) => self.go(count(1).saturating_sub(1), count(0).saturating_sub(1)),
            ('J', false) => {
                let (row, column) = (self.row, self.column);
                let (rows, here) = match raw(0) {
                    0 => (row.saturating_add(1)..self.rows, (column, self.columns)),
                    1 => (0..row, (0, column.saturating_add(1))),
                    _ => (0..self.rows, (0, self.columns)),
                };
                for other in rows {
                    self.erase(other, 0, self.columns);
                }
                self.erase(row, here.0, here.1);
            }
            ('K', false) => match raw(0) {
                0 => self.erase(self.row, self.column, self.columns),
                1 => self.erase(self.row, 0, self.column.saturating_add(1)),
                _ => self.erase(self.row, 0, self.columns),
            },
            ('L', false) if (self.top..=self.bottom).contains(&self.row) => {
                self.scroll(self.row, self.bottom, count(0), false)
            }
            ('M', false) if (self.top..=self.bottom).contains(&self.row) => {
                self.scroll(self.row, self.bottom, count(0), true)
            }
            ('S', false) => self.scroll(self.top, self.bottom, count(0), true),
            ('T', false) => self.scroll(self.top, self.bottom, count(0), false),
            ('@', false) => self.shift(count(0), true),
            ('P', false) => self.shift(count(0), false),
            ('X', false) => self.erase(self.row, self.column, self.column.saturating_add(count(0))),
            ('m', false) => self.select(params),
            ('r', false) => {
                let top = count(0).saturating_sub(1);
                let bottom = if raw(1) == 0 { self.rows } else { usize::from(raw(1)).min(self.rows) }.saturating_sub(1);
                if top < bottom {
                    (self.top, self.bottom) = (top, bottom);
                    self.go(0, 0);
                }
            }
            ('s', false) => self.saved = (self.column, self.row),
            ('u', false) => self.go(self.saved.0, self.saved.1),
            ('n', false) if raw(0) == 6 => {
                let text = alloc::format!("\x1b[{};{}R", self.row.saturating_add(1), self.column.saturating_add(1));
                self.replies.extend(text.bytes());
            }
            ('c', false) if raw(0) == 0 => self.replies.extend(b"\x1b[?6c"),
            ('h' | 'l', true) if raw(0) == 25 => {
                self.cursor_shown = action == 'h';
                self.touch(self.row);
            }
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        if !intermediates.is_empty() {
            return;
        }
        match byte {
            b'7' => self.saved = (self.column, self.row),
            b'8' => self.go(self.saved.0, self.saved.1),
            b'D' => self.line_feed(),
            b'E' => {
                self.go(0, self.row);
                self.line_feed();
            }
            b'M' if self.row == self.top => self.scroll(self.top, self.bottom, 1, false),
            b'M' => self.go(self.column, self.row.saturating_sub(1)),
            b'c' => {
                self.pen = PLAIN;
                (self.top, self.bottom) = (0, self.rows.saturating_sub(1));
                self.cursor_shown = true;
                for row in 0..self.rows {
                    self.erase(row, 0, self.columns);
                }
                self.go(0, 0);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;

    fn shown(screen: &Screen) -> Vec<String> {
        (0..screen.size().1).map(|r| screen.row(r).iter().map(|c| c.character).collect::<String>()).collect()
    }

    fn after(columns: usize, rows: usize, text: &str) -> Vec<String> {
        let mut screen = Screen::new(columns, rows);
        screen.write(text.as_bytes());
        shown(&screen)
    }

    #[test]
    fn text_wraps_only_when_more_comes_and_scrolls_at_the_bottom() {
        assert_eq!(after(3, 2, "abc"), ["abc", "   "]);
        assert_eq!(after(3, 2, "abcd"), ["abc", "d  "]);
        assert_eq!(after(3, 2, "abc\r\nde\r\nf"), ["de ", "f  "]);
    }

    #[test]
    fn sequences_move_erase_insert_and_delete() {
        assert_eq!(after(4, 2, "abcd\x1b[1;2HX\x1b[K"), ["aX  ", "    "]);
        assert_eq!(after(4, 1, "abcd\x1b[1G\x1b[P"), ["bcd "]);
        assert_eq!(after(4, 1, "abc\x1b[1G\x1b[@x"), ["xabc"]);
        assert_eq!(after(2, 3, "a\r\nb\r\nc\x1b[2;1H\x1b[L"), ["a ", "  ", "b "]);
        assert_eq!(after(2, 3, "a\r\nb\r\nc\x1b[1;2r\x1b[2;1H\n"), ["b ", "  ", "c "]);
        assert_eq!(after(2, 2, "a\r\nb\x1b[H\x1b[2J"), ["  ", "  "]);
    }

    #[test]
    fn only_changed_rows_are_dirty() {
        let mut screen = Screen::new(4, 4);
        screen.take_dirty();
        screen.write(b"\x1b[3;1Hx");
        assert_eq!(screen.take_dirty(), [0, 2]);
        assert_eq!(screen.take_dirty(), []);
    }

    #[test]
    fn the_position_is_told_when_asked() {
        let mut screen = Screen::new(9, 9);
        screen.write(b"\x1b[4;5H\x1b[6n");
        assert_eq!(screen.take_replies(), b"\x1b[4;5R");
    }

    #[test]
    fn any_bytes_at_all_leave_a_screen_of_the_same_size() {
        const KEYS: &[u8] = b"\x1b[0123456789;?ABCDHJKLMPSTXmrsu@7\n";
        let mut seed = 1u64;
        let mut screen = Screen::new(7, 5);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let byte = (seed >> 33) as u8;
            // Half of them from the bytes that sequences are made of.
            let byte = if seed & 1 == 0 { KEYS[byte as usize % KEYS.len()] } else { byte };
            screen.write(&[byte]);
            assert!(screen.cursor().is_none_or(|(c, r)| c < 7 && r < 5));
        }
        assert!((0..5).all(|r| screen.row(r).len() == 7));
    }
}
