//! The first process: what the machine layer asks for before it lets user code
//! run.
//!
//! Everything that init holds is put into its table here, at the handles of [`abi::boot::InitHandle`]; there is no other
//! source of these objects.

use crate::cap::namespace::words;
use crate::irq::range::{PHYSICAL_PAGES, PORTS};
use crate::object::Process;
use crate::{FrameNumber, Id, Kernel, Machine};
use abi::boot::InitHandle;
use abi::{Error, Kind, Result, Rights};

/// What the first process is made of.
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The first frame of initfs.
    pub initfs: FrameNumber,
    /// Frames of initfs.
    pub initfs_pages: u32,
    /// The first physical page with ACPI tables.
    pub acpi_first_page: u64,
    /// Pages of ACPI tables; 0 where there are none.
    pub acpi_pages: u64,
}

impl<M: Machine> Kernel<M> {
    /// Makes the first process, with everything init is to hold, and no thread yet. Called once. Errors: `OutOfMemory`,
    /// `OutOfQuota`, `BadArgument` (initfs is not in RAM).
    pub fn boot_init(&self, init: Init<'_>) -> Result<Id<Process>> {
        let root = self.root_quota();
        let process = self.process_make(root, words(init.name), u8::MAX, None)?;
        self.processes[process].label.set(abi::security::INIT_SUBJECT);
        let look = Rights::TRANSFER | Rights::DERIVE | Rights::INSPECT;
        let (read, write, manage) = (Rights::READ, Rights::WRITE, Rights::MANAGE);
        let put = |at: InitHandle, kind: Kind, raw: u32, rights: Rights| {
            let handle = self.cap_insert(process, kind, raw, look | rights, None)?;
            (handle == at.handle()).then_some(()).ok_or(Error::Exists)
        };
        put(InitHandle::Quota, Kind::Quota, root.raw(), manage)?;
        put(InitHandle::System, Kind::System, 0, manage)?;
        put(InitHandle::Log, Kind::Log, 0, read | write)?;
        let ports = self.ports_new(root, 0, PORTS)?;
        put(InitHandle::IoPorts, Kind::IoPorts, ports.raw(), read | write)?;
        let registers = self.device_memory_new(root, 0, PHYSICAL_PAGES)?;
        put(InitHandle::DeviceMemory, Kind::DeviceMemory, registers.raw(), read | write)?;
        let interrupts = self.interrupt_root(root)?;
        put(InitHandle::Interrupt, Kind::Interrupt, interrupts.raw(), manage)?;
        let domain = self.domain_new(root, true)?;
        put(InitHandle::DmaDomain, Kind::DmaDomain, domain.raw(), manage | write)?;
        let initfs = self.memory_foreign(root, init.initfs, init.initfs_pages)?;
        put(InitHandle::Initfs, Kind::Memory, initfs.raw(), read | Rights::EXECUTE)?;
        if init.acpi_pages != 0 {
            let tables = self.device_memory_new(root, init.acpi_first_page, init.acpi_pages)?;
            put(InitHandle::AcpiTables, Kind::DeviceMemory, tables.raw(), read)?;
        }
        Ok(process)
    }
}
