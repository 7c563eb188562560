//! The scheme `pci:`: functions, device sessions, claims. The contract is
//! `hal::bus`.

use crate::function::{Function, Region};
use abi::memory::PAGE_SIZE;
use abi::{Error, Handle, Rights};
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use hal::access::Mmio;
use hal::bus::{self, FunctionName};
use hal::config::{Access, ConfigSpace};
use hal::interrupt::InterruptRoot;
use hal::virtio::transport::{structures, Transport};
use hal::window::Window;
use scheme::entry::Listing;
use scheme::message::SendCap;
use scheme::rt::calls;
use scheme::rt::security::object_type_of;
use scheme::scheme::{Caller, Control, Controlled, Opened, Outcome, Scheme, Stop};
use scheme::stat::FileKind;
use scheme::wire::{OpenFlags, LIST_END};

/// The vendor of virtio devices.
const VIRTIO: u16 = 0x1af4;
/// How often a reset is asked for anew, a millisecond apart.
const RESET_TRIES: u32 = 1000;

/// The roots that the bus manager hands narrow parts of.
#[derive(Clone, Copy, Debug)]
pub struct Roots {
    /// All device registers: the range begins at physical 0.
    pub memory: Handle,
    /// All ports.
    pub ports: Handle,
    /// Where interrupts come from.
    pub interrupts: Handle,
    /// Where devices' views of memory come from.
    pub dma: Handle,
}

/// What is kept of a device that somebody claimed.
#[derive(Default)]
struct Claim {
    domain: Option<Handle>,
    interrupts: Vec<Handle>,
}

/// By which the kernel knows a device's view of memory, so that it is found again after a restart of ours.
fn tag(index: usize) -> u64 {
    (index as u64).saturating_add(1)
}

/// The server.
pub struct Pci<S: ConfigSpace> {
    space: S,
    functions: Vec<Function>,
    roots: Roots,
    claims: BTreeMap<usize, Claim>,
    /// What the security policy calls sessions of functions.
    function_type: u64,
}

/// What a session's id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Root,
    Device(usize),
    Claimed(usize),
}

impl Node {
    fn of(id: u64) -> Node {
        let index = usize::try_from(id.saturating_sub(1) / 2).unwrap_or(usize::MAX);
        match id {
            0 => Node::Root,
            id if id % 2 == 1 => Node::Device(index),
            _ => Node::Claimed(index),
        }
    }
    fn device_id(index: usize) -> u64 {
        (index as u64).saturating_mul(2).saturating_add(1)
    }
}

impl<S: ConfigSpace> Pci<S> {
    /// A server for functions that were found. Those that firmware left mastering are stopped only when a
    /// driver claims them: a bus manager that was restarted takes devices up as they are.
    pub fn new(space: S, functions: Vec<Function>, roots: Roots) -> Pci<S> {
        Pci { space, functions, roots, claims: BTreeMap::new(), function_type: object_type_of("function") }
    }

    /// A session of a function: of a type of its own, so that who may list the bus can't have a device.
    fn opened(&self, id: u64) -> Opened {
        Opened { object_type: self.function_type, ..Opened::new(id) }
    }

    fn function(&self, index: usize) -> Result<Function, Error> {
        self.functions.get(index).copied().ok_or(Error::NotFound)
    }

    /// A BAR or a part of it: the capability, its length, its first port.
    fn bar(&self, function: &Function, argument: u64, whole: bool) -> Outcome<(SendCap, u64, u64)> {
        let index = (argument & 0xff) as u8;
        let region = function.bar(&self.space, index).ok_or(Error::NotFound)?;
        let rights = Rights::READ | Rights::WRITE | Rights::TRANSFER | Rights::INSPECT;
        let (handle, length, first) = match region {
            Region::Ports { first, count } if whole => {
                let handle = calls::derive_range(self.roots.ports, rights, u64::from(first), u64::from(count))?;
                (handle, u64::from(count), u64::from(first))
            }
            Region::Ports { .. } => return Err(Error::NotSupported.into()),
            Region::Memory { address, length } => {
                // Small BARs share their page with nothing else only if the firmware placed them so; a part of a page can't be
                // told from the rest by the page tables.
                let pages = length.div_ceil(PAGE_SIZE);
                let (from, count) = if whole { (0, pages) } else { ((argument >> 8) & 0xff_ffff, argument >> 32) };
                if count == 0 || from.checked_add(count).is_none_or(|end| end > pages) {
                    return Err(Error::BadArgument.into());
                }
                let asked = from.saturating_mul(PAGE_SIZE)..from.saturating_add(count).saturating_mul(PAGE_SIZE);
                let page = |at: u64| at / PAGE_SIZE;
                for kept in function.msix_ranges(&self.space, index) {
                    let touches = !kept.is_empty()
                        && page(kept.start) < page(asked.end)
                        && page(kept.end.saturating_sub(1)) >= page(asked.start);
                    if touches {
                        return Err(Error::PermissionDenied.into());
                    }
                }
                if address % PAGE_SIZE != 0 {
                    return Err(Error::NotSupported.into());
                }
                let start = address.checked_add(asked.start).ok_or(Error::BadArgument)?;
                let bytes = asked.end.saturating_sub(asked.start);
                (calls::derive_range(self.roots.memory, rights, start, bytes)?, bytes.min(length), 0)
            }
        };
        Ok((SendCap { handle, rights }, length, first))
    }

    fn interrupts(&mut self, index: usize, count: u64) -> Outcome<Controlled> {
        let function = self.function(index)?;
        let mut msix = function.msix(&self.space).ok_or(Error::NotSupported)?;
        if count == 0 || count > 4 || count > u64::from(msix.table_size()) {
            return Err(Error::NotSupported.into());
        }
        let Some(Region::Memory { address, length }) = function.bar(&self.space, msix.table_bar()) else {
            return Err(Error::NotSupported.into());
        };
        let bytes = u64::from(msix.table_size()).saturating_mul(16);
        let start = u64::from(msix.table_offset());
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(Error::Corrupt.into());
        }
        let at = address.checked_add(start).ok_or(Error::Corrupt)?;
        let table = Window::map(self.roots.memory, at, usize::try_from(bytes).map_err(|_| Error::Corrupt)?, true)?;
        // Masked as a whole while entries change (PCI 3.0, 6.8.2).
        msix.set_function_mask(true, Access(&self.space));
        msix.set_enabled(true, Access(&self.space));
        let mut caps = Vec::new();
        let claim = self.claims.entry(index).or_default();
        for old in claim.interrupts.drain(..) {
            calls::close(old);
        }
        for entry in 0..usize::from(msix.table_size()) {
            let at = entry.saturating_mul(16);
            let masked = at.saturating_add(12);
            if (entry as u64) < count {
                let (handle, address, data) = InterruptRoot(self.roots.interrupts).message()?;
                claim.interrupts.push(handle);
                table.write64(at, address);
                table.write32(at.saturating_add(8), data);
                table.write32(masked, 0);
                caps.push((SendCap { handle, rights: Rights::MANAGE | Rights::INSPECT }, false));
            } else {
                table.write32(masked, 1);
            }
        }
        msix.set_function_mask(false, Access(&self.space));
        Ok(Controlled { value: count, length: 0, caps })
    }

    fn start(&mut self, index: usize) -> Outcome<Controlled> {
        let function = self.function(index)?;
        let root = self.roots.dma;
        let claim = self.claims.entry(index).or_default();
        let domain = match claim.domain {
            Some(domain) => domain,
            None => {
                // One that still holds the frames of a driver before, of a device that can't be reset, is used again.
                let made = calls::domain_create(root, Handle::SELF_QUOTA, tag(index));
                let domain = if made == Err(Error::Exists) { calls::domain_open(root, tag(index)) } else { made };
                *claim.domain.insert(domain?)
            }
        };
        function.set_mastering(&self.space, true);
        let rights = Rights::WRITE | Rights::INSPECT;
        Ok(Controlled { value: 0, length: 0, caps: Vec::from([(SendCap { handle: domain, rights }, false)]) })
    }

    /// Resets a virtio device by its own register (virtio 1.2, 2.4): few of them have a reset that PCI knows of. When
    /// the register reads 0 the device has done with all that was under way.
    fn reset_virtio(&self, function: &Function) -> Option<()> {
        if function.info.vendor != VIRTIO {
            return None;
        }
        let found = structures(&mut |at| Ok(self.space.read(function.address(), at))).ok()?;
        let Region::Memory { address, length } = function.bar(&self.space, found.common.bar)? else { return None };
        let (start, bytes) = (u64::from(found.common.offset), u64::from(found.common.length));
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return None;
        }
        let registers =
            || Window::map(self.roots.memory, address.checked_add(start)?, usize::try_from(bytes).ok()?, true).ok();
        let device = Transport::new(registers()?, registers()?, registers()?, found.notify_multiplier);
        for _ in 0..RESET_TRIES {
            if device.reset(100).is_ok() {
                return Some(());
            }
            scheme::time::sleep_ns(scheme::time::MILLISECOND);
        }
        None
    }

    /// Finds the view of memory that a device was given before a restart of ours, if there is one.
    fn take_up(&mut self, index: usize) {
        if let Ok(domain) = calls::domain_open(self.roots.dma, tag(index)) {
            self.claims.insert(index, Claim { domain: Some(domain), interrupts: Vec::new() });
        }
    }

    /// Stops a device whose claim ended, then lets go of what its driver had pinned. A device that can't be reset may
    /// still write what it was asked to: then the frames stay.
    fn release(&mut self, index: usize) {
        let Some(claim) = self.claims.remove(&index) else { return };
        let Ok(function) = self.function(index) else { return };
        let reset = self.reset_virtio(&function).is_some();
        let reset = function.stop(&self.space) || reset;
        log::info!("{} stopped{}", function.name, if reset { " and reset" } else { "" });
        match claim.domain {
            Some(domain) if reset => {
                if let Err(error) = calls::domain_release(domain) {
                    log::warn!("{}: what its driver had pinned stays: {error}", function.name);
                }
                calls::close(domain);
            }
            Some(_) => log::error!("{} can't be reset: what its driver had pinned stays", function.name),
            None => {}
        }
        claim.interrupts.into_iter().for_each(calls::close);
    }
}

impl<S: ConfigSpace> Scheme for Pci<S> {
    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        if flags.contains(OpenFlags::CREATE) {
            return Err(Error::PermissionDenied.into());
        }
        match (Node::of(caller.id), path) {
            (Node::Root, "") => Ok(Opened::new(0)),
            (Node::Root, name) => {
                let name = FunctionName::parse(name).ok_or(Error::NotFound)?;
                let index = self.functions.iter().position(|f| f.name == name).ok_or(Error::NotFound)?;
                Ok(self.opened(Node::device_id(index)))
            }
            (Node::Device(index), "") => {
                let function = self.function(index)?;
                // Whoever had it is gone or will be: its end is told to us before the next message.
                if self.claims.contains_key(&index) {
                    return Err(Stop::Later);
                }
                // A view of memory from before a restart of ours, whose driver ended meanwhile, is let go of with it.
                self.take_up(index);
                self.release(index);
                self.reset_virtio(&function);
                function.stop(&self.space);
                self.claims.insert(index, Claim::default());
                Ok(self.opened(Node::device_id(index).saturating_add(1)))
            }
            _ => Err(Error::NotDirectory.into()),
        }
    }

    fn reopen(&mut self, caller: &Caller, path: &str, flags: OpenFlags, old: u64) -> Outcome<Opened> {
        match Node::of(old) {
            // After our own restart the driver goes on: the device is taken up as it is.
            Node::Claimed(index) => {
                self.function(index)?;
                self.take_up(index);
                self.claims.entry(index).or_default();
                Ok(Opened::new(old))
            }
            Node::Device(index) => self.function(index).map(|_| Opened::new(old)).map_err(Stop::Error),
            Node::Root => self.open(caller, path, flags),
        }
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        if Node::of(caller.id) != Node::Root {
            return Err(Error::NotDirectory.into());
        }
        let from = usize::try_from(cursor).map_err(|_| Error::BadArgument)?;
        for (index, function) in self.functions.iter().enumerate().skip(from) {
            if !listing.push(&function.name.to_string(), FileKind::Stream, 0, Node::device_id(index)) {
                return Ok(index as u64);
            }
        }
        Ok(LIST_END)
    }

    fn control(&mut self, caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
        let (index, claimed) = match Node::of(caller.id) {
            Node::Root => return Err(Error::NotSupported.into()),
            Node::Device(index) => (index, false),
            Node::Claimed(index) => (index, true),
        };
        let function = self.function(index)?;
        match control.command {
            bus::INFO => Ok(Controlled::output(0, control.output.fill(&function.info.to_bytes())?)),
            bus::CONFIG_READ => {
                let offset = u16::try_from(control.argument).ok().filter(|o| o % 4 == 0 && *o < 4096);
                let value = self.space.read(function.address(), offset.ok_or(Error::BadArgument)?);
                Ok(Controlled::value(u64::from(value)))
            }
            bus::BAR | bus::BAR_PART | bus::INTERRUPTS | bus::START if !claimed => Err(Error::PermissionDenied.into()),
            bus::BAR | bus::BAR_PART => {
                let (cap, value, first) = self.bar(&function, control.argument, control.command == bus::BAR)?;
                let caps = Vec::from([(cap, true)]);
                let length = control.output.fill(&first.to_le_bytes())?;
                Ok(Controlled { value, length, caps })
            }
            bus::INTERRUPTS => self.interrupts(index, control.argument),
            bus::START => self.start(index),
            _ => Err(Error::NotSupported.into()),
        }
    }

    fn close(&mut self, caller: &Caller) {
        if let Node::Claimed(index) = Node::of(caller.id) {
            self.release(index);
        }
    }
}
