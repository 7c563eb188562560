//! `upgrade`: a new build of a service, while its clients run.

use crate::context::{Context, Options};
use crate::system::reason;
use alloc::vec::Vec;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// The longest program that init takes.
const LONGEST: usize = 16 << 20;
const PIECE: usize = 64 * 1024;

fn read(cx: &mut Context<'_>, path: &str) -> Result<Vec<u8>> {
    let stream = cx.system.open(path, OpenFlags::READ)?;
    let mut program = Vec::new();
    let mut piece = alloc::vec![0; PIECE];
    while program.len() <= LONGEST {
        match stream.read(&mut piece)? {
            0 => return Ok(program),
            length => program.extend_from_slice(piece.get(..length).unwrap_or(&[])),
        }
    }
    Err(Error::FileTooLarge)
}

/// `upgrade`.
pub fn upgrade(cx: &mut Context<'_>, options: &Options<'_>) {
    let [service, file] = options.operands[..] else { return };
    let program = match cx.path(file).and_then(|path| read(cx, &path)) {
        Ok(program) => program,
        Err(error) => return cx.complain(format_args!("{file}: {}", reason(error))),
    };
    match cx.system.upgrade(service, &program) {
        Ok(()) => {}
        Err(Error::NotFound) => cx.complain(format_args!("{service}: no such service, or it does not run")),
        Err(Error::NotExecutable) => cx.complain(format_args!("{file}: no program")),
        Err(Error::Busy) => cx.complain(format_args!("{service}: another upgrade is under way")),
        Err(error) => cx.complain(format_args!("{service}: {}", reason(error))),
    }
}
