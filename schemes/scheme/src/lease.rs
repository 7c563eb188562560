//! Leases as slices: what a caller lent, seen from the server that was called.
//!
//! A [`Source`] is data lent to be read, a [`Target`] a buffer lent to be filled. Behind either is a
//! lease of the kernel's or, on the host, a slice. Offsets count from the beginning of what was
//! lent; whatever lies outside is refused. From [`MAP_THRESHOLD`] on, whole pages
//! are mapped once instead of copied piece by piece; a driver pins instead ([`Source::pin`]), and a file system hands
//! the caller's pages on to the disk below it ([`Source::lend`]).
//!
//! What was lent stays the caller's, who may change it at any time: copy in once, then check.

use crate::message::Lend;
use crate::rt::lease as kernel;
use crate::wire::MAP_THRESHOLD;
use abi::message::LeaseAccess;
use abi::{Error, Handle, Result};

/// A lease of the kernel's, as the receiver of a call names it.
#[derive(Debug)]
pub struct KernelLease {
    /// The reply object of the call.
    pub reply: Handle,
    /// Which of the call's leases.
    pub index: u8,
    /// Bytes lent.
    pub length: usize,
    /// What for.
    pub access: LeaseAccess,
    /// Where in its page it begins, as the caller says; a hint.
    pub page_offset: usize,
    window: Window,
}

/// Whether the lease's whole pages are mapped here.
#[derive(Debug)]
enum Window {
    Untried,
    Refused,
    Mapped { from: usize, pages: kernel::MappedPages },
}

impl KernelLease {
    /// A lease as it was received.
    pub fn new(reply: Handle, index: u8, length: usize, access: LeaseAccess, page_offset: usize) -> KernelLease {
        KernelLease { reply, index, length, access, page_offset, window: Window::Untried }
    }

    fn check(&self, offset: usize, length: usize) -> Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(Error::LeaseRange),
        }
    }

    /// Maps the whole pages inside the lease, once, if it is long enough to be worth it.
    fn window(&mut self, access: LeaseAccess) -> &Window {
        if matches!(self.window, Window::Untried) {
            self.window = Window::Refused;
            let from = self.page_offset.wrapping_neg() & 0xfff;
            let length = (self.length.saturating_sub(from) & !0xfff).min(kernel::MAP_LIMIT);
            if self.length >= MAP_THRESHOLD {
                if let Ok(pages) = kernel::map(self.reply, self.index, from, length, access) {
                    self.window = Window::Mapped { from, pages };
                }
            }
        }
        &self.window
    }

    fn read(&mut self, offset: usize, out: &mut [u8]) -> Result<()> {
        self.check(offset, out.len())?;
        let length = out.len();
        let (reply, index) = (self.reply, self.index);
        let copy = move |at: usize, part: &mut [u8]| kernel::read(reply, index, at, part);
        let Window::Mapped { from, pages } = self.window(LeaseAccess::READ) else {
            return copy(offset, out);
        };
        // Before, inside and after the mapped pages.
        let inner_start = (*from).clamp(offset, offset.saturating_add(length));
        let inner_end = from.saturating_add(pages.len()).clamp(inner_start, offset.saturating_add(length));
        let (head, rest) = out.split_at_mut(inner_start.saturating_sub(offset));
        let (inner, tail) = rest.split_at_mut(inner_end.saturating_sub(inner_start));
        if !head.is_empty() {
            copy(offset, head)?;
        }
        if !inner.is_empty() {
            pages.read(inner_start.saturating_sub(*from), inner);
        }
        if !tail.is_empty() {
            copy(inner_end, tail)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        self.check(offset, data.len())?;
        let length = data.len();
        let (reply, index) = (self.reply, self.index);
        let copy = move |at: usize, part: &[u8]| kernel::write(reply, index, at, part);
        let Window::Mapped { from, pages } = self.window(LeaseAccess::WRITE) else {
            return copy(offset, data);
        };
        let inner_start = (*from).clamp(offset, offset.saturating_add(length));
        let inner_end = from.saturating_add(pages.len()).clamp(inner_start, offset.saturating_add(length));
        let (head, rest) = data.split_at(inner_start.saturating_sub(offset));
        let (inner, tail) = rest.split_at(inner_end.saturating_sub(inner_start));
        if !head.is_empty() {
            copy(offset, head)?;
        }
        if !inner.is_empty() {
            pages.write(inner_start.saturating_sub(*from), inner);
        }
        if !tail.is_empty() {
            copy(inner_end, tail)?;
        }
        Ok(())
    }

    fn pin(&self, domain: Handle, offset: usize, length: usize) -> Result<kernel::Pin> {
        self.check(offset, length)?;
        kernel::pin(self.reply, self.index, offset, length, domain)
    }

    fn lend(&self, offset: usize, length: usize, access: LeaseAccess) -> Result<Lend<'static>> {
        self.check(offset, length)?;
        if !self.access.contains(access) {
            return Err(Error::LeaseAccess);
        }
        Ok(Lend::PassOn { reply: self.reply, index: self.index, offset, length, access })
    }
}

/// One lease of a request, whatever it was lent for.
#[derive(Debug, Default)]
pub enum Lease<'a> {
    /// There is none.
    #[default]
    Absent,
    /// A slice of the host's, to read.
    Data(&'a [u8]),
    /// A slice of the host's, to fill.
    Buffer(&'a mut [u8]),
    /// A lease of the kernel's.
    Kernel(KernelLease),
}

impl Lease<'_> {
    /// The lease as data to read. An absent one is empty. Errors: `LeaseAccess`.
    pub fn source(&mut self) -> Result<Source<'_>> {
        match self {
            Lease::Absent => Ok(Source(SourceFrom::Slice(&[]))),
            Lease::Data(data) => Ok(Source(SourceFrom::Slice(data))),
            Lease::Buffer(_) => Err(Error::LeaseAccess),
            Lease::Kernel(lease) if lease.access.contains(LeaseAccess::READ) => Ok(Source(SourceFrom::Kernel(lease))),
            Lease::Kernel(_) => Err(Error::LeaseAccess),
        }
    }

    /// The lease as a buffer to fill. An absent one has no room. Errors: `LeaseAccess`.
    pub fn target(&mut self) -> Result<Target<'_>> {
        match self {
            Lease::Absent => Ok(Target(TargetTo::Slice(&mut []))),
            Lease::Data(_) => Err(Error::LeaseAccess),
            Lease::Buffer(buffer) => Ok(Target(TargetTo::Slice(buffer))),
            Lease::Kernel(lease) if lease.access.contains(LeaseAccess::WRITE) => Ok(Target(TargetTo::Kernel(lease))),
            Lease::Kernel(_) => Err(Error::LeaseAccess),
        }
    }
}

/// Data that a caller lent to be read.
#[derive(Debug)]
pub struct Source<'a>(SourceFrom<'a>);

#[derive(Debug)]
enum SourceFrom<'a> {
    Slice(&'a [u8]),
    Kernel(&'a mut KernelLease),
}

impl<'a> Source<'a> {
    /// A slice as a source: for tests, and for data that a server makes itself.
    pub fn from_slice(data: &'a [u8]) -> Source<'a> {
        Source(SourceFrom::Slice(data))
    }

    /// Bytes lent.
    pub fn len(&self) -> usize {
        match &self.0 {
            SourceFrom::Slice(data) => data.len(),
            SourceFrom::Kernel(lease) => lease.length,
        }
    }

    /// Whether nothing was lent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` from `offset`. Errors: `LeaseRange`, `LeaseFault` (pass it on as it is), `Cancelled`
    /// and others when the caller is gone.
    pub fn read(&mut self, offset: usize, out: &mut [u8]) -> Result<()> {
        match &mut self.0 {
            SourceFrom::Slice(data) => {
                let end = offset.checked_add(out.len()).ok_or(Error::LeaseRange)?;
                out.copy_from_slice(data.get(offset..end).ok_or(Error::LeaseRange)?);
                Ok(())
            }
            SourceFrom::Kernel(lease) => lease.read(offset, out),
        }
    }

    /// All of it, copied in once, if it is at most `limit` bytes. Errors: `BadArgument` when longer, and as [`Source::read`].
    pub fn to_vec(&mut self, limit: usize) -> Result<alloc::vec::Vec<u8>> {
        if self.len() > limit {
            return Err(Error::BadArgument);
        }
        let mut data = alloc::vec![0; self.len()];
        self.read(0, &mut data)?;
        Ok(data)
    }

    /// Pins a part of it for a device to read. Errors: `LeaseRange`, the kernel's; `NotSupported` on a slice.
    pub fn pin(&self, domain: Handle, offset: usize, length: usize) -> Result<kernel::Pin> {
        match &self.0 {
            SourceFrom::Slice(_) => Err(Error::NotSupported),
            SourceFrom::Kernel(lease) => lease.pin(domain, offset, length),
        }
    }

    /// A part of it, to be lent on with a call to another server. Errors: `LeaseRange`.
    pub fn lend(&self, offset: usize, length: usize) -> Result<Lend<'_>> {
        match &self.0 {
            SourceFrom::Slice(data) => {
                let end = offset.checked_add(length).ok_or(Error::LeaseRange)?;
                Ok(Lend::Read(data.get(offset..end).ok_or(Error::LeaseRange)?))
            }
            SourceFrom::Kernel(lease) => lease.lend(offset, length, LeaseAccess::READ),
        }
    }
}

/// A buffer that a caller lent to be filled.
#[derive(Debug)]
pub struct Target<'a>(TargetTo<'a>);

#[derive(Debug)]
enum TargetTo<'a> {
    Slice(&'a mut [u8]),
    Kernel(&'a mut KernelLease),
}

impl<'a> Target<'a> {
    /// A slice as a target: for tests, and for what a server reads for itself.
    pub fn from_slice(buffer: &'a mut [u8]) -> Target<'a> {
        Target(TargetTo::Slice(buffer))
    }

    /// Bytes of room.
    pub fn len(&self) -> usize {
        match &self.0 {
            TargetTo::Slice(buffer) => buffer.len(),
            TargetTo::Kernel(lease) => lease.length,
        }
    }

    /// Whether there is no room.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts `data` at `offset`. Errors: as [`Source::read`].
    pub fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        match &mut self.0 {
            TargetTo::Slice(buffer) => {
                let end = offset.checked_add(data.len()).ok_or(Error::LeaseRange)?;
                buffer.get_mut(offset..end).ok_or(Error::LeaseRange)?.copy_from_slice(data);
                Ok(())
            }
            TargetTo::Kernel(lease) => lease.write(offset, data),
        }
    }

    /// Puts as much of `data` as there is room for at the beginning, and tells how much that was.
    /// Errors: as [`Source::read`].
    pub fn fill(&mut self, data: &[u8]) -> Result<usize> {
        let length = data.len().min(self.len());
        self.write(0, data.get(..length).unwrap_or(&[]))?;
        Ok(length)
    }

    /// Answers a read at `offset` of something whose whole contents are `all`. Errors: as [`Source::read`].
    pub fn fill_from(&mut self, all: &[u8], offset: u64) -> Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        self.fill(all.get(start..).unwrap_or(&[]))
    }

    /// Pins a part of it for a device to fill. Errors: `LeaseRange`, the kernel's; `NotSupported` on a slice.
    pub fn pin(&self, domain: Handle, offset: usize, length: usize) -> Result<kernel::Pin> {
        match &self.0 {
            TargetTo::Slice(_) => Err(Error::NotSupported),
            TargetTo::Kernel(lease) => lease.pin(domain, offset, length),
        }
    }

    /// A part of it, to be lent on with a call to another server. Errors: `LeaseRange`.
    pub fn lend(&mut self, offset: usize, length: usize) -> Result<Lend<'_>> {
        match &mut self.0 {
            TargetTo::Slice(buffer) => {
                let end = offset.checked_add(length).ok_or(Error::LeaseRange)?;
                Ok(Lend::Write(buffer.get_mut(offset..end).ok_or(Error::LeaseRange)?))
            }
            TargetTo::Kernel(lease) => lease.lend(offset, length, LeaseAccess::WRITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lease, Source, Target};
    use abi::Error;

    #[test]
    fn nothing_outside_what_was_lent_can_be_touched() {
        let mut source = Source::from_slice(b"abc");
        let mut out = [0; 2];
        assert_eq!((source.read(1, &mut out), out), (Ok(()), *b"bc"));
        assert_eq!(source.read(2, &mut out), Err(Error::LeaseRange));
        assert_eq!(source.read(usize::MAX, &mut out), Err(Error::LeaseRange));
        assert!(source.lend(3, 1).is_err() && source.lend(usize::MAX, 2).is_err());
        let mut buffer = [0; 3];
        let mut target = Target::from_slice(&mut buffer);
        assert_eq!(target.write(2, b"xy"), Err(Error::LeaseRange));
        assert_eq!(target.fill_from(b"0123456789", 8), Ok(2));
        assert_eq!(target.fill_from(b"0123456789", u64::MAX), Ok(0));
        assert_eq!(&buffer, b"89\0");
    }

    #[test]
    fn a_lease_gives_only_the_access_it_was_lent_for() {
        let mut buffer = [0; 3];
        assert_eq!(Lease::Buffer(&mut buffer).source().err(), Some(Error::LeaseAccess));
        assert_eq!(Lease::Data(b"x").target().err(), Some(Error::LeaseAccess));
        assert_eq!(Lease::Absent.source().unwrap().len(), 0);
    }
}
