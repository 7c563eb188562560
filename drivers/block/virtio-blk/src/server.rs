//! The scheme of a disk: a call pins the caller's pages, waits for its
//! interrupt, and is answered.

use crate::disk::{slots_length, Disk, Kind, SECTOR};
use abi::{Error, Handle, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use hal::dma::DmaBuffer;
use hal::virtio::queue::{layout, Queue};
use hal::virtio::transport::{Transport, NO_VECTOR};
use hal::window::Window;
use scheme::block::{BlockInfo, COUNTERS};
use scheme::block_server;
use scheme::lease::{Source, Target};
use scheme::rt::lease::Pin;
use scheme::scheme::{CallId, Caller, Control, Controlled, Opened, Outcome, Scheme, Stop};
use scheme::stat::Stat;
use scheme::wire::OpenFlags;

/// Feature bits (5.2.3): segment limit, read-only, block size, flush.
const SEG_MAX: u64 = 1 << 2;
const READ_ONLY: u64 = 1 << 5;
const BLOCK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
/// The queue's entries at most: enough for a request of as many ranges as a pin can have, and others beside.
const QUEUE: u16 = 256;
/// The longest transfer of one request: with every page its own range it still fits a pin.
const LONGEST: usize = 256 * 1024;
/// The bit of the interrupt in the driver's notification.
pub const INTERRUPT_BIT: u64 = 1;

/// How a call of somebody's stands.
struct Request {
    /// `None`: the device has it.
    result: Option<Result<()>>,
    bytes: usize,
    /// Holds the caller's pages while the device may touch them.
    pin: Option<Pin>,
    /// Nobody waits for it any more.
    abandoned: bool,
}

/// The server of one disk.
pub struct VirtioBlk {
    transport: Transport<Window>,
    notify: usize,
    disk: Disk<DmaBuffer, CallId>,
    domain: Handle,
    info: BlockInfo,
    can_flush: bool,
    most_ranges: usize,
    requests: BTreeMap<CallId, Request>,
}

impl VirtioBlk {
    /// Sets the device up. `domain` is its view of memory; its queue's interrupt is MSI-X entry 0.
    /// Errors: `NotSupported`, `Io`, the kernel's.
    pub fn new(transport: Transport<Window>, domain: Handle) -> Result<VirtioBlk> {
        transport.reset(1_000_000)?;
        let features = transport.negotiate(SEG_MAX | READ_ONLY | BLOCK_SIZE | FLUSH)?;
        let size = transport.queue_size(0).min(QUEUE);
        if size < 4 {
            return Err(Error::NotSupported);
        }
        let size = if size.is_power_of_two() { size } else { size.next_power_of_two() / 2 };
        let queue = Queue::new(DmaBuffer::new(domain, layout(size).0)?, size)?;
        transport.set_config_vector(NO_VECTOR);
        transport.enable_queue(0, size, queue.addresses(), 0)?;
        let notify = transport.notify_offset(0);
        let disk = Disk::new(queue, DmaBuffer::new(domain, slots_length(size))?)?;
        let sectors = transport.config64(0)?;
        let block_size = if features & BLOCK_SIZE != 0 { transport.config32(20) } else { 512 };
        if !block_size.is_power_of_two() || !(512..=4096).contains(&block_size) {
            return Err(Error::NotSupported);
        }
        let info = BlockInfo {
            block_size,
            block_count: sectors / (u64::from(block_size) / SECTOR),
            read_only: features & READ_ONLY != 0,
        };
        let limit = if features & SEG_MAX != 0 { transport.config32(12).max(1) as usize } else { 1 };
        let most_ranges = disk.most_ranges().min(limit);
        transport.start();
        log::info!("{} sectors, blocks of {block_size}{}", sectors, if info.read_only { ", read-only" } else { "" });
        let can_flush = features & FLUSH != 0;
        Ok(VirtioBlk { transport, notify, disk, domain, info, can_flush, most_ranges, requests: BTreeMap::new() })
    }

    /// The length of a transfer at `offset` of at most `length` bytes; 0 at the end. Errors: `BadArgument` unaligned.
    fn span(&self, offset: u64, length: usize) -> Result<usize> {
        let block = u64::from(self.info.block_size);
        if !offset.is_multiple_of(block) || !(length as u64).is_multiple_of(block) {
            return Err(Error::BadArgument);
        }
        let left = self.info.size_bytes().saturating_sub(offset);
        Ok(length.min(LONGEST).min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// One step of a call: takes its result if it is there, else submits it unless the device has it.
    fn step(
        &mut self,
        caller: &Caller,
        kind: Kind,
        offset: u64,
        bytes: usize,
        pin: &mut dyn FnMut(Handle, usize) -> Result<Pin>,
    ) -> Outcome<usize> {
        if let Some(request) = self.requests.get(&caller.call) {
            let Some(result) = request.result else { return Err(Stop::Later) };
            let bytes = request.bytes;
            self.requests.remove(&caller.call);
            return result.map(|()| bytes).map_err(Stop::Error);
        }
        if self.disk.is_broken() {
            return Err(Error::Io.into());
        }
        let (mut bytes, mut held) = (bytes, None);
        let mut ranges = Vec::new();
        if bytes > 0 {
            let made = pin(self.domain, bytes)?;
            ranges.extend(made.ranges().iter().take(self.most_ranges).copied());
            // As much as fits the device's segments, in whole blocks; the caller asks for the rest.
            let covered = ranges.iter().map(|r| r.1).sum::<u64>();
            let surplus = covered % u64::from(self.info.block_size);
            trim(&mut ranges, surplus);
            bytes = bytes.min(usize::try_from(covered.saturating_sub(surplus)).unwrap_or(0));
            if bytes == 0 {
                return Err(Error::BadArgument.into());
            }
            held = Some(made);
        }
        match self.disk.submit(kind, offset / SECTOR, &ranges, caller.call) {
            Ok(()) => {
                self.transport.notify(self.notify, 0);
                self.requests.insert(caller.call, Request { result: None, bytes, pin: held, abandoned: false });
                Err(Stop::Later)
            }
            Err(Error::WouldBlock) => Err(Stop::Later),
            Err(error) => Err(error.into()),
        }
    }
}

/// Takes `surplus` bytes off the end of ranges.
fn trim(ranges: &mut Vec<(u64, u64)>, mut surplus: u64) {
    while surplus > 0 {
        let Some(last) = ranges.last_mut() else { return };
        let cut = last.1.min(surplus);
        last.1 = last.1.saturating_sub(cut);
        surplus = surplus.saturating_sub(cut);
        if last.1 == 0 {
            ranges.pop();
        }
    }
}

impl Scheme for VirtioBlk {
    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        if !path.is_empty() {
            return Err(Error::NotFound.into());
        }
        if self.info.read_only && flags.contains(OpenFlags::WRITE) && !caller.flags.is_empty() {
            return Err(Error::ReadOnly.into());
        }
        Ok(Opened::new(1))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        match self.span(offset, target.len())? {
            0 => Ok(0),
            bytes => self.step(caller, Kind::Read, offset, bytes, &mut |domain, n| target.pin(domain, 0, n)),
        }
    }

    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        if self.info.read_only {
            return Err(Error::ReadOnly.into());
        }
        match self.span(offset, source.len())? {
            0 if source.is_empty() => Ok(0),
            0 => Err(Error::NoSpace.into()),
            bytes => self.step(caller, Kind::Write, offset, bytes, &mut |domain, n| source.pin(domain, 0, n)),
        }
    }

    fn sync(&mut self, caller: &Caller) -> Outcome<()> {
        if !self.can_flush {
            return Ok(());
        }
        let no_data = &mut |_: Handle, _: usize| Err(Error::BadArgument);
        self.step(caller, Kind::Flush, 0, 0, no_data).map(|_| ())
    }

    fn stat(&mut self, _caller: &Caller, path: &str) -> Outcome<Stat> {
        if !path.is_empty() {
            return Err(Error::NotFound.into());
        }
        Ok(block_server::stat(&self.info, 1))
    }

    fn control(&mut self, _caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
        match control.command {
            COUNTERS => {
                let counters = self.disk.counters();
                let length = control.output.fill(&counters.to_bytes())?;
                Ok(Controlled::output(counters.outstanding(), length))
            }
            _ => block_server::control(&self.info, control),
        }
    }

    fn cancelled(&mut self, caller: &Caller) {
        // The device still has its pages: the pin is kept until it gives the request back.
        match self.requests.get_mut(&caller.call) {
            Some(request) if request.result.is_none() => request.abandoned = true,
            Some(_) => drop(self.requests.remove(&caller.call)),
            None => {}
        }
    }

    fn event(&mut self, bits: u64) {
        if bits & INTERRUPT_BIT == 0 {
            return;
        }
        let requests = &mut self.requests;
        let outcome = self.disk.interrupt(&mut |finished| {
            if let Some(request) = requests.get_mut(&finished.token) {
                request.pin = None;
                request.result = Some(finished.result);
                if request.abandoned {
                    requests.remove(&finished.token);
                }
            }
        });
        if outcome.is_err() || self.transport.needs_reset() {
            // Nothing in flight can be trusted: start anew, with the device stopped by the bus manager first.
            panic!("the device broke the rules of its queue");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::trim;

    #[test]
    fn ranges_are_cut_from_their_end() {
        let mut ranges = vec![(0, 512), (4096, 100), (8192, 50)];
        trim(&mut ranges, 120);
        assert_eq!(ranges, [(0, 512), (4096, 30)]);
        trim(&mut ranges, 0);
        trim(&mut ranges, 1000);
        assert_eq!(ranges, []);
    }
}
