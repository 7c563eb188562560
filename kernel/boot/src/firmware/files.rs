//! Files on the volume the loader was started from.

use super::failure::Failure;
use super::memory::Pages;
use ::boot::pages;
use alloc::string::ToString;
use alloc::vec::Vec;
use uefi::proto::media::file::{Directory, File, FileAttribute, FileInfo, FileMode, RegularFile};
use uefi::{boot, CStr16, Status};

/// The largest file read: more would not fit below 4 GiB beside everything else.
const LARGEST: u64 = 1 << 30;

/// The volume's root directory.
pub struct Volume {
    root: Directory,
}

/// An open file, and its length.
struct Opened {
    file: RegularFile,
    length: u64,
}

impl Volume {
    /// Opens the volume the loader was started from.
    pub fn open() -> Result<Volume, Failure> {
        let bad = |e| Failure::firmware("the volume the loader is on", &e);
        let root = boot::get_image_file_system(boot::image_handle()).map_err(bad)?.open_volume().map_err(bad)?;
        Ok(Volume { root })
    }

    fn find(&mut self, path: &CStr16) -> Result<Option<Opened>, Failure> {
        let name = path.to_string();
        let handle = match self.root.open(path, FileMode::Read, FileAttribute::empty()) {
            Ok(handle) => handle,
            Err(e) if e.status() == Status::NOT_FOUND => return Ok(None),
            Err(e) => return Err(Failure::firmware(&name, &e)),
        };
        let mut file = handle.into_regular_file().ok_or_else(|| Failure::because(&name, "is not a file"))?;
        let info = file.get_boxed_info::<FileInfo>().map_err(|e| Failure::firmware(&name, &e))?;
        let length = info.file_size();
        if length > LARGEST {
            return Err(Failure::because(&name, "is larger than 1 GiB"));
        }
        Ok(Some(Opened { file, length }))
    }

    /// Reads a file into the loader's own memory. None where there is no such file.
    pub fn read(&mut self, path: &CStr16) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut opened) = self.find(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let length = opened.length as usize;
        bytes.try_reserve_exact(length).map_err(|_| Failure::because(&path.to_string(), "does not fit in memory"))?;
        bytes.resize(length, 0);
        fill(&mut opened, path, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// Reads a file into pages that stay: the pages, and the file's length.
    pub fn load(&mut self, path: &CStr16) -> Result<Option<(Pages, u64)>, Failure> {
        let Some(mut opened) = self.find(path)? else { return Ok(None) };
        let length = opened.length;
        let mut run = Pages::new(pages(length).max(1))?;
        let bytes = run.bytes().get_mut(..length as usize);
        fill(&mut opened, path, bytes.ok_or_else(|| Failure::because(&path.to_string(), "does not fit in memory"))?)?;
        Ok(Some((run, length)))
    }
}

fn fill(opened: &mut Opened, path: &CStr16, bytes: &mut [u8]) -> Result<(), Failure> {
    let read = opened.file.read(bytes).map_err(|e| Failure::firmware(&path.to_string(), &e))?;
    if read != bytes.len() {
        return Err(Failure::because(&path.to_string(), "ends before its length: the volume is damaged"));
    }
    Ok(())
}
