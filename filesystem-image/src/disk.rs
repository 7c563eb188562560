//! The image a firmware boots: GPT, an EFI system partition, and a FAT
//! partition for data.
//!
//! Ids are constants, not random: every build of the same files is the same image. Two disks made from
//! it in one machine have equal ids, as with any image that is copied to a stick.

use crate::error::{Context, Error, Result};
use crate::output::Output;
use crate::tree;
use crate::volume::{Place, Volume, SECTOR};
use abi::initfs::Archive;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{BASIC, EFI};
use gpt::GptConfig;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MIB: u64 = 1 << 20;
/// The size of the image, unless told otherwise.
pub const SIZE_MIB: u64 = 128;
/// The largest image made: GPT itself knows no limit, but a FAT32 partition ends at 2 TiB.
pub const LARGEST_MIB: u64 = 1 << 20;
/// Partitions begin at multiples of this, for the sake of flash memory.
const ALIGNMENT: u64 = MIB;
/// Below 65,525 clusters a FAT is not a FAT32, whatever it says of itself.
const SMALLEST_FAT32: u64 = 40 * MIB;

const DISK_ID: Uuid = Uuid::from_u128(0x4c49_4d49_544c_4553_8000_0000_0000_0001);
const SYSTEM_ID: Uuid = Uuid::from_u128(0x4c49_4d49_544c_4553_8000_0000_0000_0002);
const DATA_ID: Uuid = Uuid::from_u128(0x4c49_4d49_544c_4553_8000_0000_0000_0003);

/// What goes into an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The kernel, an ELF file.
    pub kernel: PathBuf,
    /// The loader, an EFI application.
    pub loader: PathBuf,
    /// The archive.
    pub initfs: PathBuf,
    /// The kernel's options.
    pub command_line: String,
    /// A directory whose contents go to the data partition.
    pub data: PathBuf,
    /// The image's size.
    pub size_mib: u64,
}

/// The two partitions, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    system: (u64, u64),
    data: (u64, u64),
    disk: u64,
}

/// `files` is what the EFI partition must hold, in bytes.
fn layout(size_mib: u64, files: u64) -> Result<Layout> {
    let disk = size_mib.saturating_mul(MIB);
    // A sixteenth more for the allocation tables and the rounding to clusters, and room to update.
    let system = (files + files / 16 + 16 * MIB).next_multiple_of(ALIGNMENT).max(48 * MIB);
    // The second partition table is at the end.
    let needed = ALIGNMENT + system + SMALLEST_FAT32 + ALIGNMENT;
    if disk < needed {
        let least = needed.div_ceil(MIB);
        return Err(Error::new(format!("an image of {size_mib} MiB is too small: it takes {least} MiB")));
    }
    if size_mib > LARGEST_MIB {
        return Err(Error::new(format!("an image of {size_mib} MiB is too large: {LARGEST_MIB} MiB is the most")));
    }
    let data = ALIGNMENT + system;
    Ok(Layout { system: (ALIGNMENT, system), data: (data, disk - data - ALIGNMENT), disk })
}

fn check(path: &Path, what: &str, good: impl Fn(&[u8]) -> bool) -> Result<u64> {
    let bytes = fs::read(path).about(path.display())?;
    if !good(&bytes) {
        return Err(Error::new(format!("{}: not {what}", path.display())));
    }
    Ok(bytes.len() as u64)
}

fn partition(name: &str, kind: gpt::partition_types::Type, id: Uuid, place: (u64, u64)) -> Partition {
    let first_lba = place.0 / SECTOR;
    let last_lba = first_lba + place.1 / SECTOR - 1;
    Partition { part_type_guid: kind, part_guid: id, first_lba, last_lba, flags: 0, name: name.to_string() }
}

fn write_table(file: &mut File, layout: &Layout) -> Result<()> {
    let sectors = u32::try_from(layout.disk / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(file).about("the protective MBR")?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut disk = config.create_from_device(file, Some(DISK_ID)).about("the partition table")?;
    let partitions = BTreeMap::from([
        (1, partition("EFI system", EFI, SYSTEM_ID, layout.system)),
        (2, partition("LimitlessOS data", BASIC, DATA_ID, layout.data)),
    ]);
    disk.update_partitions(partitions).about("the partition table")?;
    disk.write().about("the partition table")?;
    Ok(())
}

impl Image {
    /// Writes the image to `out`, which changes only if all goes well.
    pub fn write(&self, out: &Path) -> Result<()> {
        let kernel = check(&self.kernel, "an ELF file", |bytes| bytes.starts_with(b"\x7fELF"))?;
        let loader = check(&self.loader, "an EFI application", |bytes| bytes.starts_with(b"MZ"))?;
        let initfs = check(&self.initfs, "an initfs archive", |bytes| {
            Archive::total_length(bytes) == Some(bytes.len() as u64) && Archive::new(bytes).is_ok()
        })?;
        if self.command_line.len() > abi::boot::COMMAND_LINE {
            return Err(Error::new(format!("the command line is longer than {} bytes", abi::boot::COMMAND_LINE)));
        }
        let layout = layout(self.size_mib, kernel + loader + initfs)?;
        let mut output = Output::new(out)?;
        output.file().set_len(layout.disk).about(out.display())?;
        write_table(output.file(), &layout)?;
        self.fill_system(output.path(), layout.system)?;
        self.fill_data(output.path(), layout.data)?;
        output.finish()
    }

    fn fill_system(&self, image: &Path, place: (u64, u64)) -> Result<()> {
        let volume = format(image, place, "LIMITLESSFW", 0x4c49_4d01)?;
        for name in ["/EFI", "/EFI/BOOT", "/limitless"] {
            volume.directory(name)?;
        }
        let mut command_line = tempfile::NamedTempFile::new().about("temporary file")?;
        writeln!(command_line, "{}", self.command_line).about("temporary file")?;
        volume.file("/EFI/BOOT/BOOTX64.EFI", &self.loader)?;
        volume.file("/limitless/kernel.elf", &self.kernel)?;
        volume.file("/limitless/initfs.img", &self.initfs)?;
        volume.file("/limitless/cmdline.txt", command_line.path())
    }

    fn fill_data(&self, image: &Path, place: (u64, u64)) -> Result<()> {
        let volume = format(image, place, "LIMITLESS", 0x4c49_4d02)?;
        for item in tree::walk(&self.data)? {
            let name = format!("/{}", item.name);
            if item.directory {
                volume.directory(&name)?;
            } else {
                volume.file(&name, &item.path)?;
            }
        }
        Ok(())
    }
}

fn format(image: &Path, place: (u64, u64), label: &'static str, serial: u32) -> Result<Volume> {
    let (start, length) = (place.0 / SECTOR, place.1 / SECTOR);
    Volume::format(&Place { image: image.to_path_buf(), start, length, label, serial })
}

#[cfg(test)]
mod tests {
    use super::{layout, LARGEST_MIB, MIB, SIZE_MIB, SMALLEST_FAT32};

    #[test]
    fn partitions_are_aligned_disjoint_and_leave_room_for_both_tables() {
        for (size, files) in [(SIZE_MIB, 0), (SIZE_MIB, 60 * MIB), (4096, 1000 * MIB), (LARGEST_MIB, 5)] {
            let got = layout(size, files).unwrap();
            assert!(got.system.0 >= MIB && got.system.1 > files);
            assert_eq!(got.system.0 + got.system.1, got.data.0);
            assert_eq!(got.data.0 + got.data.1 + MIB, got.disk);
            assert!(got.data.1 >= SMALLEST_FAT32);
            assert!([got.system.0, got.system.1, got.data.0, got.data.1].iter().all(|n| n % MIB == 0));
        }
    }

    #[test]
    fn a_size_that_can_not_hold_the_files_is_refused_with_the_one_that_can() {
        let message = layout(64, 0).unwrap_err().to_string();
        assert!(message.contains("64 MiB") && message.contains("90 MiB"), "{message}");
        assert!(layout(90, 0).is_ok());
        assert!(layout(SIZE_MIB, 200 * MIB).is_err());
        assert!(layout(u64::MAX, 0).is_err());
    }
}
