//! Which video mode the kernel's console gets.
//!
//! The console draws every pixel itself, so that a huge mode is a slow one: unless the command line
//! says otherwise, the largest mode up to 1280 x 800 is taken.

use abi::boot::Framebuffer;

/// The largest mode chosen unasked.
pub const LARGEST: (u32, u32) = (1280, 800);
/// The smallest mode chosen unasked: 80 x 25 cells of 8 x 16 fit.
pub const SMALLEST: (u32, u32) = (640, 400);

/// What the command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: the loader chooses.
    #[default]
    Any,
    /// The mode that is set.
    Current,
    /// This size where there is one, else as [`Wish::Any`].
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// No framebuffer.
    None,
}

/// How a pixel's 32 bits are laid out, as [`Framebuffer::format`] numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Format {
    /// Bytes B G R x.
    Bgr = 1,
    /// Bytes R G B x.
    Rgb = 2,
}

impl Format {
    /// The format with these bits of red, green and blue, where it is one of the two.
    pub const fn of_masks(red: u32, green: u32, blue: u32) -> Option<Format> {
        match (red, green, blue) {
            (0xff_0000, 0xff00, 0xff) => Some(Format::Bgr),
            (0xff, 0xff00, 0xff_0000) => Some(Format::Rgb),
            _ => None,
        }
    }
}

/// One mode, or the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pixels from one row to the next.
    pub stride: u32,
    /// None where the kernel could not draw in it.
    pub format: Option<Format>,
}

impl Mode {
    fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn area(&self) -> u64 {
        u64::from(self.width).saturating_mul(u64::from(self.height))
    }

    fn within(&self, low: (u32, u32), high: (u32, u32)) -> bool {
        let (width, height) = self.size();
        (low.0..=high.0).contains(&width) && (low.1..=high.1).contains(&height)
    }

    /// The framebuffer at `address` in this mode, which has `length` bytes behind it. None where
    /// the kernel could not use it.
    pub fn framebuffer(&self, address: u64, length: u64) -> Option<Framebuffer> {
        let stride = self.stride.checked_mul(4)?;
        let row = self.width.checked_mul(4)?;
        let needed = u64::from(stride).checked_mul(u64::from(self.height))?;
        if address == 0 || self.width == 0 || self.height == 0 || stride < row || needed > length {
            return None;
        }
        let format = self.format? as u32;
        Some(Framebuffer { address, stride, width: self.width, height: self.height, format })
    }
}

/// What to do with the display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Leave the mode as it is.
    Keep,
    /// Set the mode with this place in the list.
    Set(usize),
    /// No framebuffer.
    None,
}

/// Chooses among `modes`, of which the firmware shows `current` now.
pub fn choose(wish: Wish, current: Mode, modes: &[Mode]) -> Choice {
    let usable = || modes.iter().enumerate().filter(|(_, mode)| mode.format.is_some());
    let found = match wish {
        Wish::None => return Choice::None,
        Wish::Current => None,
        Wish::Size { width, height } => usable().find(|(_, mode)| mode.size() == (width, height)),
        Wish::Any => None,
    };
    let found = found.or_else(|| {
        if wish == Wish::Current {
            return None;
        }
        usable().filter(|(_, mode)| mode.within(SMALLEST, LARGEST)).max_by_key(|(_, mode)| mode.area())
    });
    match found {
        // Setting the mode that is set already would only blank the screen.
        Some((_, mode)) if current.format.is_some() && mode.size() == current.size() => Choice::Keep,
        Some((place, _)) => Choice::Set(place),
        None if current.format.is_some() => Choice::Keep,
        None => Choice::None,
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, Choice, Format, Mode, Wish};

    fn mode(width: u32, height: u32) -> Mode {
        Mode { width, height, stride: width, format: Some(Format::Bgr) }
    }

    const BLIND: Mode = Mode { width: 800, height: 600, stride: 800, format: None };

    #[test]
    fn the_largest_mode_up_to_1280_by_800_is_taken() {
        let modes = [mode(640, 480), mode(1280, 800), mode(1920, 1080), mode(1024, 768), mode(1280, 1024)];
        assert_eq!(choose(Wish::Any, mode(1920, 1080), &modes), Choice::Set(1));
        assert_eq!(choose(Wish::Any, mode(1280, 800), &modes), Choice::Keep);
    }

    #[test]
    fn modes_without_a_framebuffer_are_passed_over() {
        assert_eq!(choose(Wish::Any, BLIND, &[BLIND, mode(640, 480)]), Choice::Set(1));
        assert_eq!(choose(Wish::Any, BLIND, &[BLIND]), Choice::None);
        // The size of what is shown now, but here the kernel could draw.
        assert_eq!(choose(Wish::Any, BLIND, &[mode(800, 600)]), Choice::Set(0));
    }

    #[test]
    fn a_screen_that_is_only_large_is_kept_as_it_is() {
        assert_eq!(choose(Wish::Any, mode(3840, 2160), &[mode(3840, 2160)]), Choice::Keep);
        assert_eq!(choose(Wish::Any, mode(320, 200), &[mode(320, 200)]), Choice::Keep);
    }

    #[test]
    fn a_wish_is_granted_where_it_can_be() {
        let modes = [mode(640, 480), mode(1920, 1080), mode(1280, 720)];
        assert_eq!(choose(Wish::Size { width: 1920, height: 1080 }, mode(640, 480), &modes), Choice::Set(1));
        assert_eq!(choose(Wish::Size { width: 5, height: 5 }, mode(640, 480), &modes), Choice::Set(2));
        assert_eq!(choose(Wish::Current, mode(1920, 1080), &modes), Choice::Keep);
        assert_eq!(choose(Wish::None, mode(1920, 1080), &modes), Choice::None);
    }

    #[test]
    fn a_framebuffer_shorter_than_its_picture_is_refused() {
        let shown = Mode { stride: 1024, ..mode(1000, 600) };
        let whole = 1024 * 4 * 600;
        let told = shown.framebuffer(0x8000_0000, whole).unwrap();
        assert_eq!((told.stride, told.width, told.height, told.format), (4096, 1000, 600, 1));
        assert_eq!(shown.framebuffer(0x8000_0000, whole - 1), None);
        assert_eq!(shown.framebuffer(0, whole), None);
        assert_eq!(Mode { stride: 999, ..shown }.framebuffer(1, whole), None);
        assert_eq!(Mode { stride: u32::MAX, ..shown }.framebuffer(1, u64::MAX), None);
        assert_eq!(BLIND.framebuffer(1, u64::MAX), None);
    }

    #[test]
    fn masks_name_the_two_formats_and_no_other() {
        assert_eq!(Format::of_masks(0xff, 0xff00, 0xff_0000), Some(Format::Rgb));
        assert_eq!(Format::of_masks(0xff_0000, 0xff00, 0xff), Some(Format::Bgr));
        assert_eq!(Format::of_masks(0xf800, 0x7e0, 0x1f), None);
    }
}
