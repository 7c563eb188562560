//! The real world: the bus manager, init, the servers that were started. Every
//! call has a deadline.

use crate::manager::World;
use alloc::string::String;
use alloc::vec::Vec;
use hal::bus::{self, FunctionName, Info};
use scheme::client::File;
use scheme::message::SendCap;
use scheme::scheme::SESSION_RIGHTS;
use scheme::services::{StartInstance, START};
use scheme::time;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// How long one call may take. A driver has to start and set its device up within it; a disk of a loaded emulator is slow,
/// and a disk that answers nothing must not keep the others from being used.
const PATIENCE_NS: u64 = 15 * time::SECOND;

/// The machine.
#[derive(Debug, Default)]
pub struct Machine;

/// The root of a path's scheme, and the rest; calls on it end in time.
fn root_of(path: &str) -> Result<(File, String)> {
    let (mut root, rest) = File::root_of(path)?;
    root.set_deadline(time::after_ns(PATIENCE_NS));
    Ok((root, rest))
}

fn open(path: &str, flags: OpenFlags) -> Result<File> {
    let (root, rest) = root_of(path)?;
    let mut file = root.open_at(&rest, flags)?;
    file.set_deadline(time::after_ns(PATIENCE_NS));
    Ok(file)
}

impl World for Machine {
    type Session = File;

    fn functions(&mut self) -> Result<Vec<(FunctionName, Info)>> {
        let mut found = Vec::new();
        for entry in root_of("pci:")?.0.list()? {
            let name = FunctionName::parse(&entry.name).ok_or(Error::Corrupt)?;
            let mut bytes = [0; bus::INFO_LENGTH];
            let (_, length) =
                open(&["pci:", &entry.name].concat(), OpenFlags::READ)?.control(bus::INFO, 0, &[], &mut bytes)?;
            if length != bus::INFO_LENGTH {
                return Err(Error::Corrupt);
            }
            found.push((name, Info::from_bytes(&bytes)));
        }
        Ok(found)
    }

    fn config(&mut self, function: &FunctionName, offset: u16) -> Result<u32> {
        let device = open(&alloc::format!("pci:{function}"), OpenFlags::READ)?;
        Ok(device.control(bus::CONFIG_READ, u64::from(offset), &[], &mut [])?.0 as u32)
    }

    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<File> {
        open(path, flags)
    }

    fn names(&mut self, path: &str) -> Result<Vec<String>> {
        Ok(root_of(path)?.0.list()?.into_iter().map(|entry| entry.name).collect())
    }

    fn start(&mut self, template: &str, instance: &str, name: &str, session: File) -> Result<()> {
        let wish =
            StartInstance { template: template.into(), instance: instance.into(), sessions: [name.into()].into() };
        let handle = session.connection().handle().ok_or(Error::BadHandle)?;
        let cap = SendCap { handle, rights: SESSION_RIGHTS };
        let (manager, _) = root_of("service-manager:")?;
        // No capabilities come back.
        manager.control_with(START, 0, wish.to_text().as_bytes(), &mut [], &[cap]).map(|_| ())
    }

    fn say(&mut self, line: &str) {
        log::info!("{line}");
    }
}
