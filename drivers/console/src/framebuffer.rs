//! The firmware's framebuffer as a surface.

use crate::paint::Surface;
use alloc::vec::Vec;
use hal::window::Window;

/// Shape of a framebuffer, as the argument `framebuffer=ADDRESS,STRIDE,WIDTH,HEIGHT,FORMAT` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Physical address of the first pixel.
    pub address: u64,
    /// Bytes from row to row.
    pub stride: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether red comes first in memory.
    pub red_first: bool,
}

impl Shape {
    /// Reads the argument's value; `None` for nonsense and for no framebuffer.
    pub fn parse(text: &str) -> Option<Shape> {
        let mut numbers = text.split(',').map(|n| n.parse::<u64>().ok());
        let mut next = || numbers.next()?;
        let (address, stride, width, height, format) = (next()?, next()?, next()?, next()?, next()?);
        let small = |n: u64| usize::try_from(n).ok().filter(|n| *n > 0 && *n <= 1 << 20);
        let shape = Shape {
            address,
            stride: small(stride)?,
            width: small(width)?,
            height: small(height)?,
            red_first: format == 2,
        };
        let fits = shape.width.checked_mul(4)? <= shape.stride && shape.stride.is_multiple_of(4);
        (address != 0 && fits && matches!(format, 1 | 2)).then_some(shape)
    }

    /// Bytes from the first pixel to the last.
    pub fn length(&self) -> usize {
        self.stride.saturating_mul(self.height)
    }
}

/// A mapped framebuffer.
pub struct Framebuffer {
    window: Window,
    shape: Shape,
}

impl Framebuffer {
    /// The surface behind a window of [`Shape::length`] bytes.
    pub fn new(window: Window, shape: Shape) -> Framebuffer {
        Framebuffer { window, shape }
    }
}

impl Surface for Framebuffer {
    fn size(&self) -> (usize, usize) {
        (self.shape.width, self.shape.height)
    }
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let at = y.saturating_mul(self.shape.stride).saturating_add(x.saturating_mul(4));
        if self.shape.red_first {
            let swapped: Vec<u32> = pixels.iter().map(|p| p.swap_bytes() >> 8).collect();
            self.window.write_words(at, &swapped);
        } else {
            self.window.write_words(at, pixels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn shapes_that_make_no_sense_are_refused() {
        let shape = Shape::parse("4096,5120,1280,800,1").unwrap();
        assert_eq!((shape.length(), shape.red_first), (4_096_000, false));
        for bad in ["", "0,5120,1280,800,1", "1,2,3", "4096,5116,1280,800,1", "4096,5120,1280,800,9", "4096,0,0,0,1"] {
            assert_eq!(Shape::parse(bad), None, "{bad}");
        }
    }
}
