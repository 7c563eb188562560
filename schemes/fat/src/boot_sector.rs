//! The boot sector, parsed into values that later code may trust.
//!
//! `Shape::parse` takes the first sector and the device's size and gives the layout of the volume,
//! or `Corrupt`. After it every cluster number for which `Shape::valid` holds lies on the device,
//! and no sector arithmetic over valid clusters can overflow. Layout and the rule that the cluster
//! count decides the width: Microsoft's FAT specification 1.03, sections "Boot Sector and BPB" and
//! "FAT Type Determination".

use abi::error::{Error, Result};

/// How many bits a table cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 12-bit cells.
    Fat12,
    /// 16-bit cells.
    Fat16,
    /// 32-bit cells, of which 28 count.
    Fat32,
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// FAT12/16: a fixed range of sectors.
    Fixed {
        /// First sector.
        start: u32,
        /// Length in sectors.
        sectors: u32,
    },
    /// FAT32: a chain like any directory's.
    Chain(u32),
}

/// The validated layout of a volume. Sectors are the volume's own, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Cell width.
    pub width: Width,
    /// Bytes in a sector: 512 to 4096.
    pub sector_size: u32,
    /// Sectors in a cluster: a power of two up to 128.
    pub cluster_sectors: u32,
    /// First sector of the first table.
    pub table_start: u32,
    /// Sectors in one table.
    pub table_sectors: u32,
    /// Number of tables.
    pub table_count: u32,
    /// The table that is read; 0 unless mirroring is off.
    pub active_table: u32,
    /// Whether every change goes to all tables.
    pub mirrored: bool,
    /// The root directory.
    pub root: Root,
    /// First sector of cluster 2.
    pub data_start: u32,
    /// Clusters that exist; they are numbered from 2.
    pub cluster_count: u32,
    /// Sectors in the volume.
    pub total_sectors: u32,
    /// The sector with the free count, where there is one.
    pub info_sector: Option<u32>,
    /// The volume's serial number.
    pub serial: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => u32::from(u16::from_le_bytes([a, b])),
        _ => 0,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

fn u8_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(bytes.get(at).copied().unwrap_or(0))
}

/// `Corrupt` unless the condition holds.
fn require(condition: bool) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(Error::Corrupt)
    }
}

impl Shape {
    /// Reads the layout from the first 512 bytes of a device of `device_bytes` bytes.
    ///
    /// Errors: `Corrupt` for anything that is not a whole, consistent FAT volume.
    pub fn parse(boot: &[u8], device_bytes: u64) -> Result<Shape> {
        require(boot.len() >= 512 && u16_at(boot, 510) == 0xaa55)?;
        let sector_size = u16_at(boot, 11);
        let cluster_sectors = u8_at(boot, 13);
        let reserved = u16_at(boot, 14);
        let table_count = u8_at(boot, 16);
        let root_entries = u16_at(boot, 17);
        let media = u8_at(boot, 21);
        require(sector_size.is_power_of_two() && (512..=4096).contains(&sector_size))?;
        require(cluster_sectors.is_power_of_two() && cluster_sectors <= 128)?;
        require(reserved >= 1 && (1..=4).contains(&table_count))?;
        require(media == 0xf0 || media >= 0xf8)?;

        let small_total = u16_at(boot, 19);
        let total_sectors = if small_total != 0 { small_total } else { u32_at(boot, 32) };
        require(total_sectors != 0)?;
        require(u64::from(total_sectors) * u64::from(sector_size) <= device_bytes)?;

        // A zero 16-bit table size says FAT32, whatever the cluster count: small FAT32 volumes are
        // made by mkfs.fat -F 32 and must be read as what they are.
        let small_table = u16_at(boot, 22);
        let is_32 = small_table == 0;
        let table_sectors = if is_32 { u32_at(boot, 36) } else { small_table };
        require(table_sectors != 0)?;
        require(is_32 == (root_entries == 0))?;
        let root_sectors = (root_entries * 32).div_ceil(sector_size);

        // In 64 bits: hostile counts times table sizes overflow 32.
        let root_start = u64::from(reserved) + u64::from(table_count) * u64::from(table_sectors);
        let data_start = root_start + u64::from(root_sectors);
        require(data_start < u64::from(total_sectors))?;
        let (root_start, data_start) = (root_start as u32, data_start as u32);
        let cluster_count = (total_sectors - data_start) / cluster_sectors;
        require(cluster_count >= 1)?;

        let (width, cell_bits) = if is_32 {
            require(cluster_count <= 0x0fff_fff4)?;
            (Width::Fat32, 32)
        } else if cluster_count < 4085 {
            (Width::Fat12, 12)
        } else {
            require(cluster_count < 65525)?;
            (Width::Fat16, 16)
        };
        let table_bits = u64::from(table_sectors) * u64::from(sector_size) * 8;
        require((u64::from(cluster_count) + 2) * cell_bits <= table_bits)?;

        let mut shape = Shape {
            width,
            sector_size,
            cluster_sectors,
            table_start: reserved,
            table_sectors,
            table_count,
            active_table: 0,
            mirrored: true,
            root: Root::Fixed { start: root_start, sectors: root_sectors },
            data_start,
            cluster_count,
            total_sectors,
            info_sector: None,
            serial: u32_at(boot, if is_32 { 67 } else { 39 }),
        };
        if is_32 {
            let flags = u16_at(boot, 40);
            require(u16_at(boot, 42) == 0)?; // a version we do not know
            if flags & 0x80 != 0 {
                shape.mirrored = false;
                shape.active_table = flags & 0xf;
                require(shape.active_table < table_count)?;
            }
            let root = u32_at(boot, 44);
            require(shape.valid(root))?;
            shape.root = Root::Chain(root);
            let info = u16_at(boot, 48);
            shape.info_sector = (info != 0 && info < reserved).then_some(info);
        }
        Ok(shape)
    }

    /// Whether this is the number of a cluster that exists.
    pub const fn valid(&self, cluster: u32) -> bool {
        cluster >= 2 && cluster - 2 < self.cluster_count
    }

    /// Bytes in a cluster.
    pub const fn cluster_bytes(&self) -> u32 {
        self.cluster_sectors * self.sector_size
    }

    /// The first sector of a valid cluster.
    pub fn cluster_sector(&self, cluster: u32) -> Result<u32> {
        require(self.valid(cluster))?;
        Ok(self.data_start + (cluster - 2) * self.cluster_sectors)
    }

    /// Clusters needed for this many bytes.
    pub const fn clusters_for(&self, bytes: u64) -> u32 {
        bytes.div_ceil(self.cluster_bytes() as u64) as u32
    }

    /// The first cluster of a directory's chain, given the number that names the directory (0 is
    /// the root, as in a `..` entry); `None` for the fixed root.
    pub const fn directory_chain(&self, directory: u32) -> Option<u32> {
        match (directory, self.root) {
            (0, Root::Fixed { .. }) => None,
            (0, Root::Chain(first)) => Some(first),
            (first, _) => Some(first),
        }
    }

    /// Where the "not cleanly unmounted" byte is in the boot sector; bit 0 is the flag.
    pub const fn flag_offset(&self) -> usize {
        match self.width {
            Width::Fat32 => 0x41,
            _ => 0x25,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Root, Shape, Width};
    use abi::error::Error;

    /// A boot sector for a FAT16 volume of 32 MiB.
    fn fat16() -> Vec<u8> {
        let mut boot = vec![0u8; 512];
        boot[11..13].copy_from_slice(&512u16.to_le_bytes());
        boot[13] = 4;
        boot[14] = 4;
        boot[16] = 2;
        boot[17..19].copy_from_slice(&512u16.to_le_bytes());
        boot[21] = 0xf8;
        boot[22..24].copy_from_slice(&64u16.to_le_bytes());
        boot[32..36].copy_from_slice(&65536u32.to_le_bytes());
        boot[510] = 0x55;
        boot[511] = 0xaa;
        boot
    }

    /// The same as FAT32 with few clusters.
    fn fat32() -> Vec<u8> {
        let mut boot = fat16();
        boot[17..19].fill(0);
        boot[22..24].fill(0);
        boot[36..40].copy_from_slice(&128u32.to_le_bytes());
        boot[44..48].copy_from_slice(&2u32.to_le_bytes());
        boot[48] = 1;
        boot
    }

    const SIZE: u64 = 32 << 20;

    #[test]
    fn a_fat16_volume_is_read_as_such() {
        let shape = Shape::parse(&fat16(), SIZE).unwrap();
        assert_eq!(shape.width, Width::Fat16);
        assert_eq!(shape.root, Root::Fixed { start: 132, sectors: 32 });
        assert_eq!(shape.data_start, 164);
        assert_eq!(shape.cluster_count, (65536 - 164) / 4);
        assert!(shape.valid(2) && !shape.valid(1) && !shape.valid(shape.cluster_count + 2));
    }

    #[test]
    fn a_zero_table_size_means_fat32_even_with_few_clusters() {
        let shape = Shape::parse(&fat32(), SIZE).unwrap();
        assert_eq!(shape.width, Width::Fat32);
        assert_eq!(shape.root, Root::Chain(2));
        assert_eq!(shape.info_sector, Some(1));
    }

    #[test]
    fn a_volume_larger_than_its_device_is_corrupt() {
        assert_eq!(Shape::parse(&fat16(), SIZE - 512), Err(Error::Corrupt));
    }

    #[test]
    fn every_absurd_value_is_corrupt() {
        let cases: &[(usize, &[u8])] = &[
            (11, &[0, 0]),
            (11, &[1, 2]),
            (12, &[0x40]),
            (13, &[0]),
            (13, &[3]),
            (14, &[0, 0]),
            (14, &[0xff, 0xff]),
            (16, &[0]),
            (16, &[255]),
            (21, &[0]),
            (22, &[1, 0]),
            (22, &[0xff, 0xff]),
            (32, &[0, 0, 0, 0]),
            (32, &[0xff, 0xff, 0xff, 0xff]),
            (510, &[0]),
        ];
        for (at, bytes) in cases {
            let mut boot = fat16();
            boot[*at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(Shape::parse(&boot, SIZE), Err(Error::Corrupt), "{at} {bytes:?}");
        }
        for (at, value) in [(36, 0u32), (36, u32::MAX), (44, 0), (44, 1), (44, 0x0fff_ffff)] {
            let mut boot = fat32();
            boot[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(Shape::parse(&boot, SIZE), Err(Error::Corrupt), "{at} {value}");
        }
        assert_eq!(Shape::parse(&[0; 100], SIZE), Err(Error::Corrupt));
    }

    #[test]
    fn no_random_sector_panics_and_accepted_ones_stay_on_the_device() {
        let mut seed = 1u64;
        for round in 0..20_000 {
            let mut boot = if round % 2 == 0 { fat16() } else { fat32() };
            for _ in 0..1 + round % 6 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                boot[11 + (seed >> 33) as usize % 42] = (seed >> 55) as u8;
            }
            if let Ok(shape) = Shape::parse(&boot, SIZE) {
                let last = shape.cluster_sector(shape.cluster_count + 1).unwrap();
                let end = u64::from(last + shape.cluster_sectors) * u64::from(shape.sector_size);
                assert!(end <= SIZE);
            }
        }
    }
}
