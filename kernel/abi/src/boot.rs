//! What the loader tells the kernel, and what the kernel gives init.

/// `BootInfo::magic`.
pub const MAGIC: u64 = 0x4c49_4d49_544c_4553;
/// `BootInfo::version` of this layout.
pub const VERSION: u32 = 1;
/// The most memory regions told.
pub const REGIONS: usize = 256;
/// The longest command line.
pub const COMMAND_LINE: usize = 1024;

/// What a range of physical addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RegionKind {
    /// Free memory.
    Usable = 1,
    /// Holds the kernel, initfs or this structure: memory, but taken.
    Taken = 2,
    /// ACPI tables, reclaimable in principle; read by the kernel and user-mode ACPI.
    AcpiTables = 3,
    /// Anything else that is not free.
    Reserved = 4,
}

/// One range of physical addresses. Ranges are sorted and do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// A [`RegionKind`] number.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

/// The firmware's framebuffer. All zero where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Framebuffer {
    /// Physical address of the first pixel.
    pub address: u64,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1: 32-bit pixels, bytes B G R x. 2: bytes R G B x.
    pub format: u32,
}

/// What the loader (or the PVH start) hands to the kernel. Physical addresses throughout.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BootInfo {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Entries used in `regions`.
    pub region_count: u32,
    /// ACPI's root pointer, or 0.
    pub rsdp: u64,
    /// Where the kernel's image lies.
    pub kernel_start: u64,
    /// Its length.
    pub kernel_length: u64,
    /// Where initfs lies (page-aligned).
    pub initfs_start: u64,
    /// Its length in bytes.
    pub initfs_length: u64,
    /// The firmware's framebuffer.
    pub framebuffer: Framebuffer,
    /// Bytes used in `command_line`.
    pub command_line_length: u32,
    /// 0: started through PVH; 1: through UEFI.
    pub firmware: u32,
    /// The kernel's options, UTF-8.
    pub command_line: [u8; COMMAND_LINE],
    /// The physical address map.
    pub regions: [Region; REGIONS],
}

impl BootInfo {
    /// No memory, no tables: to be filled in.
    pub const EMPTY: BootInfo = BootInfo {
        magic: MAGIC,
        version: VERSION,
        region_count: 0,
        rsdp: 0,
        kernel_start: 0,
        kernel_length: 0,
        initfs_start: 0,
        initfs_length: 0,
        framebuffer: Framebuffer { address: 0, stride: 0, width: 0, height: 0, format: 0 },
        command_line_length: 0,
        firmware: 0,
        command_line: [0; COMMAND_LINE],
        regions: [Region { start: 0, length: 0, kind: 0, reserved: 0 }; REGIONS],
    };

    /// The regions told.
    pub fn regions(&self) -> &[Region] {
        self.regions.get(..self.region_count as usize).unwrap_or(&self.regions)
    }

    /// The command line; empty where it is not UTF-8.
    pub fn command_line(&self) -> &str {
        let bytes = self.command_line.get(..self.command_line_length as usize).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

/// The order of the capabilities that init finds in its table, from index 1 on, generation 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum InitHandle {
    /// `Quota`: all memory that was free, all rights.
    Quota = 1,
    /// `System`.
    System = 2,
    /// `Log`, read and write.
    Log = 3,
    /// `IoPorts`: all 65536.
    IoPorts = 4,
    /// `DeviceMemory`: every physical page that is not RAM.
    DeviceMemory = 5,
    /// `Interrupt`: the range all interrupts are allocated from.
    Interrupt = 6,
    /// `DmaDomain`: the root, from which domains are made.
    DmaDomain = 7,
    /// `Memory`: the initfs archive, read and execute.
    Initfs = 8,
    /// `Memory`: a copy of the ACPI tables' pages is not made; this is `DeviceMemory` over them.
    AcpiTables = 9,
}

impl InitHandle {
    /// The handle.
    pub const fn handle(self) -> crate::Handle {
        crate::Handle::new(self as u16, 1)
    }
}

/// Words that `system_info` with `what` 0 copies: the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum BootWord {
    /// ACPI's root pointer.
    Rsdp = 0,
    /// Framebuffer: address.
    FramebufferAddress = 1,
    /// Framebuffer: stride | width << 32.
    FramebufferStrideWidth = 2,
    /// Framebuffer: height | format << 32.
    FramebufferHeightFormat = 3,
    /// Bytes in initfs.
    InitfsLength = 4,
    /// 0 PVH, 1 UEFI; bit 8: CPUID says there is a hypervisor; bit 9: a framebuffer is in RAM-less space.
    Firmware = 5,
    /// Bytes of command line that follow from word 8 on, 8 in a word, little-endian.
    CommandLineLength = 6,
    /// Processors present (MADT).
    Processors = 7,
    /// The first word of the command line.
    CommandLine = 8,
}

/// Counters that `system_info` with `what` 1 copies, in this order. All since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Entries to the kernel of any sort.
    KernelEntries = 0,
    /// Loads of the page-table root.
    RootLoads = 1,
    /// TLB flushes (single pages and whole).
    TlbFlushes = 2,
    /// Free frames now.
    FreeFrames = 3,
    /// Frames the kernel manages.
    TotalFrames = 4,
    /// Interrupts of devices.
    Interrupts = 5,
    /// The time-stamp counter at the kernel's first instruction.
    EntryTsc = 6,
    /// The time-stamp counter when init's first instruction ran.
    InitTsc = 7,
    /// Time-stamp ticks in a second.
    TscHz = 8,
    /// Nanoseconds that no thread ran.
    IdleNs = 9,
}
