//! The framebuffer, from the firmware's Graphics Output Protocol (UEFI 2.10,
//! 12.9).

use ::boot::screen::{choose, Choice, Format, Mode, Wish};
use abi::boot::Framebuffer;
use alloc::vec::Vec;
use uefi::boot;
use uefi::proto::console::gop::{GraphicsOutput, ModeInfo, PixelFormat};
use uefi::Handle;

fn describe(info: &ModeInfo) -> Mode {
    let (width, height) = info.resolution();
    let format = match info.pixel_format() {
        PixelFormat::Rgb => Some(Format::Rgb),
        PixelFormat::Bgr => Some(Format::Bgr),
        PixelFormat::Bitmask => info.pixel_bitmask().and_then(|m| Format::of_masks(m.red, m.green, m.blue)),
        PixelFormat::BltOnly => None,
    };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mode { width: number(width), height: number(height), stride: number(info.stride()), format }
}

fn on(handle: Handle, wish: Wish) -> Option<Framebuffer> {
    let mut output = boot::open_protocol_exclusive::<GraphicsOutput>(handle).ok()?;
    let modes = output.modes().collect::<Vec<_>>();
    let described = modes.iter().map(|mode| describe(mode.info())).collect::<Vec<_>>();
    match choose(wish, describe(&output.current_mode_info()), &described) {
        Choice::None => return None,
        Choice::Keep => {}
        // Where the mode can't be set, the current one may still do.
        Choice::Set(place) => drop(output.set_mode(modes.get(place)?)),
    }
    let shown = describe(&output.current_mode_info());
    shown.format?;
    let mut memory = output.frame_buffer();
    shown.framebuffer(memory.as_mut_ptr() as u64, memory.size() as u64)
}

/// Chooses and sets a mode on the first display that has a framebuffer. All zero where there is none.
pub fn prepare(wish: Wish) -> Framebuffer {
    if wish == Wish::None {
        return Framebuffer::default();
    }
    let displays = boot::find_handles::<GraphicsOutput>().unwrap_or_default();
    displays.into_iter().find_map(|display| on(display, wish)).unwrap_or_default()
}
