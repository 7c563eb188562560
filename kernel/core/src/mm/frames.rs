//! Frames of physical memory.
use crate::address::FrameNumber;
use crate::object::FrameInfo;

/// All frames.
pub struct Frames {
    /// Info, by frame number.
    pub infos: &'static [FrameInfo],
}
impl Frames {
    /// Info on one.
    pub fn info(&self, frame: FrameNumber) -> Option<&FrameInfo> {
        self.infos.get(frame.0 as usize)
    }
}
